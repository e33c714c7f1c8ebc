/// Collections that are killed, raced and lied to: what is booked is exact all the same.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expectedTotals } from '../upstreams/opencost.mjs';
import { addCluster, bounded, eventually, installation, openCost } from './harness.mjs';

const HOUR = 3_600_000;
const NAMESPACES = ['analytics', 'fraud-detection', 'recommender'];
const iso = (time) => new Date(time).toISOString().replace('.000', '');

/// An installation with one cluster behind the stand-in, an owner for each of its namespaces, and a
/// range of whole hours up to the last one.
async function stage(test, { hours, env = {} }) {
  const home = installation(test, env);
  const to = Math.floor(Date.now() / HOUR) * HOUR;
  const from = to - hours * HOUR;
  const server = await openCost(test, home, { namespaces: NAMESPACES, seed: 7 });
  const service = await home.serve();
  const admin = await home.token('root@example.com', { admin: true });
  const cluster = await addCluster(service, admin, server);
  for (const [i, name] of NAMESPACES.entries()) {
    const email = `owner${i % 2}@example.com`;
    await home.token(email);
    const given = await home.run(['project', '--email', email, '--cluster', 'alpha', '--namespace', name]);
    assert.equal(given.code, 0, given.out);
  }
  const range = ['--from', iso(from), '--to', iso(to)];
  return { home, service, server, admin, cluster, from, to, hours, range, args: ['collect', ...range] };
}

const complete = (home) => Number(home.sql('SELECT count(*) FROM collected_hours WHERE complete'));

/// Sums per namespace as the stand-in says they must be; the days and the owner's as well.
function assertExact({ home, from, to, hours }) {
  const expected = expectedTotals({ seed: 7, namespaces: NAMESPACES, from, to });
  assert.equal(complete(home), hours);
  assert.equal(home.sql('SELECT count(*) FROM usage_hourly'), String(hours * NAMESPACES.length));
  for (const name of NAMESPACES) {
    const { cpuCoreHours, gpuHours, ramByteHours, totalCost } = expected[name];
    const same = home.sql(`SELECT sum(cpu_hours) = ${cpuCoreHours} AND sum(gpu_hours) = ${gpuHours}
      AND sum(upstream_cost) = ${totalCost} AND abs(sum(ram_gb_hours) * 1073741824 - ${ramByteHours}) < 1
      FROM usage_hourly WHERE namespace = '${name}'`);
    assert.equal(same, 't', `${name}: ${JSON.stringify(expected[name])}, booked ${home.sql(
      `SELECT sum(cpu_hours), sum(gpu_hours), sum(upstream_cost), sum(ram_gb_hours) FROM usage_hourly WHERE namespace = '${name}'`)}`);
  }
  for (const [table, column] of [['usage_project_daily', 'cpu_hours'], ['usage_daily', 'opencost_cpu_hours']]) {
    const sum = NAMESPACES.map((name) => expected[name].cpuCoreHours).join(' + ');
    assert.equal(home.sql(`SELECT sum(${column}) = ${sum} FROM ${table}`), 't', table);
  }
  assert.equal(home.sql(`SELECT count(*) FROM usage_daily d WHERE compute_cost <> (SELECT sum(compute_cost)
    FROM usage_hourly h WHERE h.user_id = d.user_id AND (h.hour AT TIME ZONE 'UTC')::date = d.day)`), '0');
}

/// As if the lease of a dead collector had run out; it takes 30 s.
const lapse = (home) => home.sql("UPDATE collected_hours SET lease_until = lease_until - interval '31 seconds' WHERE lease_until IS NOT NULL");

describe('collection', { timeout: 900_000 }, () => {
  it('kill -9 in the middle, twice, and again: totals are exact', async (test) => {
    const all = await stage(test, { hours: 120 });
    const { home, server, args } = all;
    for (const least of [1, 49]) {
      // Two batches are answered, then it hangs: killed in the middle, however fast it is.
      await server.fault({ kind: 'latency', ms: 1, times: 60 }, { kind: 'hang', times: 10_000 });
      const child = home.spawn(args);
      const ended = new Promise((done) => child.once('close', done));
      await eventually('some hours are booked', () => complete(home) >= least);
      child.kill('SIGKILL');
      await bounded(ended, 60_000, 'end');
      const done = complete(home);
      assert.ok(done < all.hours, `killed too late: ${done}`);
      assert.equal(home.sql(`SELECT count(*) FROM usage_hourly`), String(done * NAMESPACES.length), 'whole batches only');
      lapse(home);
      await server.clear();
    }
    const last = await home.run(args);
    assert.equal(last.code, 0, last.out);
    assertExact(all);
    const again = await home.run([...args, '--again']);
    assert.equal(again.code, 0, again.out);
    assertExact(all);
  });

  it('kill -9 of the service in the middle of its own collection: totals are exact', async (test) => {
    const all = await stage(test, { hours: 72 });
    const { home, server, admin, service, from, to } = all;
    await server.fault({ kind: 'latency', ms: 1, times: 60 }, { kind: 'hang', times: 10_000 });
    const asked = service.call('POST', '/api/admin/usage/collect', { headers: admin, body: { from: iso(from), to: iso(to) } });
    asked.catch(() => {});
    await eventually('some hours are booked', () => complete(home) > 0);
    await service.stop('SIGKILL');
    await assert.rejects(asked);
    lapse(home);
    await server.clear();
    const next = await home.serve();
    const answer = await next.call('POST', '/api/admin/usage/collect', { headers: admin, body: { from: iso(from), to: iso(to) } });
    assert.equal(answer.status, 200, answer.text);
    assertExact(all);
    assert.equal(await next.stop(), 0);
  });

  it('every fault of the upstream: totals are exact, and the service does not notice', async (test) => {
    const all = await stage(test, { hours: 14, env: { BINNACLE_COLLECTOR_UPSTREAM_TIMEOUT: '2s' } });
    const { home, server, args, service, admin } = all;
    await server.fault({ kind: 'status', status: 429, retryAfter: 1 }, { kind: 'status', status: 500 },
      { kind: 'truncate' }, { kind: 'reset' }, { kind: 'garbage' }, { kind: 'hang' },
      { kind: 'error-envelope', message: 'Prometheus is away' }, { kind: 'status', status: 503 });
    const ran = home.run(args);
    let running = true;
    const watch = (async () => {
      while (running) {
        assert.equal((await service.call('GET', '/api/usage', { headers: admin })).status, 200);
      }
    })();
    const { code, out } = await ran;
    running = false;
    await watch;
    // An hour may be given up; another run gets it.
    if (code !== 0) {
      const second = await home.run(args);
      assert.equal(second.code, 0, `${out}\n${second.out}`);
    }
    assertExact(all);
  });

  it('an upstream that stays away fails the run, books nothing wrong, and is caught up later', async (test) => {
    const all = await stage(test, { hours: 30, env: {
      BINNACLE_COLLECTOR_UPSTREAM_TIMEOUT: '20s', BINNACLE_COLLECTOR_UPSTREAM_ATTEMPTS: '1',
    } });
    const { home, server, args } = all;
    await server.fault({ kind: 'latency', ms: 1, times: 10 }, { kind: 'reset', times: 1_000 });
    const failed = await home.run(args);
    assert.notEqual(failed.code, 0, failed.out);
    const { booked, rows } = { booked: complete(home), rows: Number(home.sql('SELECT count(*) FROM usage_hourly')) };
    assert.equal(rows, booked * NAMESPACES.length);
    assert.equal(home.sql('SELECT count(*) FROM collected_hours WHERE holder IS NOT NULL AND lease_until > now()'), '0', 'hours are given back');
    await server.clear();
    const later = await home.run(args);
    assert.equal(later.code, 0, later.out);
    assertExact(all);
  });

  it('three collectors at once: every hour once, totals exact', async (test) => {
    const all = await stage(test, { hours: 96 });
    const { home, server, args, service, admin, from, to } = all;
    await server.fault({ kind: 'latency', ms: 8, times: 10_000 });
    const runs = await Promise.all([home.run(args), home.run(args),
      service.call('POST', '/api/admin/usage/collect', { headers: admin, body: { from: iso(from), to: iso(to) } })]);
    assert.ok([200, 207].includes(runs[2].status) || runs[2].status < 500, runs[2].text);
    const asked = (await server.requests()).filter((r) => r.url.includes('/allocation/compute')).length;
    assert.equal(asked, all.hours, 'no hour is collected twice');
    const last = await home.run(args);
    assert.equal(last.code, 0, last.out);
    assertExact(all);
  });

  it('PostgreSQL killed in the middle: the run fails or goes on, the next one is exact', async (test) => {
    const all = await stage(test, { hours: 72 });
    const { home, server, args } = all;
    await server.fault({ kind: 'latency', ms: 12, times: 10_000 });
    const ran = home.run(args, {});
    await eventually('some hours are booked', () => complete(home) > 0);
    await home.killPostgres();
    await home.startPostgres();
    await ran;
    lapse(home);
    await server.clear();
    const last = await home.run(args);
    assert.equal(last.code, 0, last.out);
    assertExact(all);
  });
});

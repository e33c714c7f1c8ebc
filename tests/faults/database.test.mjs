/// PostgreSQL goes away and comes back while clients are at work: one that the service was told to
/// use, which stays away until somebody starts it, and its private one, which it brings back itself.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import http from 'node:http';
import { eventually, installation, isAlive, sleep } from './harness.mjs';

describe('database', { timeout: 900_000 }, () => {
  const cleanups = [];
  let home, service, admin;

  async function install() {
    home = installation({ after: (f) => cleanups.push(f) }, { BINNACLE_CACHE_ENABLED: 'false' });
    admin = await home.token('root@example.com', { admin: true });
  }
  after(() => cleanups.forEach((f) => f()));

  /// Clients that add clusters and read usage until `stop()`; what was acknowledged, and how long
  /// answers took and which there were.
  function load(clients = 8) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: clients });
    const seen = { acknowledged: [], statuses: new Map(), broken: [], bad: [] };
    let running = true;
    const work = Array.from({ length: clients }, async (_, client) => {
      for (let i = 0; running; ++i) {
        const name = `${Date.now()}-${client}-${i}`;
        try {
          const answer = client % 2
            ? await service.call('POST', '/api/admin/clusters',
              { headers: admin, body: { name, api_url: 'https://127.0.0.1:1' }, agent })
            : await service.call('GET', '/api/usage', { headers: admin, agent });
          seen.statuses.set(answer.status, (seen.statuses.get(answer.status) ?? 0) + 1);
          if (answer.status === 201) seen.acknowledged.push(name);
          else if (answer.status === 503) {
            if (!(Number(answer.headers['retry-after']) >= 1) || !answer.json?.error ||
                /postgres|libpq|connection|socket|terminat/i.test(answer.text)) seen.bad.push(answer);
            await sleep(20);
          } else if (answer.status !== 200) seen.bad.push(answer);
        } catch (error) {
          seen.broken.push(error);
          await sleep(20);
        }
      }
    });
    const stop = async () => {
      running = false;
      await Promise.all(work);
      agent.destroy();
      return seen;
    };
    return { stop, seen };
  }

  const clusters = async () => {
    const answer = await service.call('GET', '/api/admin/clusters', { headers: admin });
    assert.equal(answer.status, 200, answer.text);
    return new Set(answer.json.clusters.map((c) => c.name));
  };

  async function isDown() {
    await eventually('/readyz is 503', async () => (await service.call('GET', '/readyz')).status === 503);
    assert.equal((await service.call('GET', '/healthz')).status, 200);
    const refused = await service.call('POST', '/api/admin/clusters',
      { headers: admin, body: { name: 'never', api_url: 'https://127.0.0.1:1' } });
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    assert.ok(refused.json.error);
    assert.equal((await service.call('GET', '/version')).status, 200);
  }

  async function recovers() {
    const works = async () => (await service.call('GET', '/api/usage', { headers: admin })).status === 200 &&
      (await service.call('GET', '/readyz')).status === 200;
    await eventually('it works again', works);
  }

  async function acrossAnOutage(stop, start) {
    const { stop: end, seen } = load();
    await eventually('writes are acknowledged', () => seen.acknowledged.length > 20);
    await stop();
    await isDown();
    await start();
    await recovers();
    const before = seen.acknowledged.length;
    await eventually('writes are acknowledged again', () => seen.acknowledged.length > before + 20);
    const done = await end();
    assert.deepEqual(done.broken.map(String), [], 'every request gets an answer');
    assert.deepEqual(done.bad.map((a) => [a.status, a.text]), []);
    assert.ok((done.statuses.get(503) ?? 0) > 0);
    const present = await clusters();
    assert.deepEqual(done.acknowledged.filter((name) => !present.has(name)), [], 'lost');
    return done;
  }

  describe('that somebody else looks after', () => {
    const serve = () => home.serve({ DATABASE_URL: home.url });

    before(async () => {
      await install();
      await home.startPostgres();
      service = await serve();
    });
    beforeEach(() => home.startPostgres()); // whatever the test before has left

    it('stopped and started under load: 503 meanwhile, nothing acknowledged is lost', () =>
      acrossAnOutage(() => home.stopPostgres('fast'), () => home.startPostgres()));

    it('killed and started under load', () =>
      acrossAnOutage(() => home.killPostgres(), () => home.startPostgres()));

    it('stopped three times in a row, with the service in between', async () => {
      for (let i = 0; i < 3; ++i) {
        home.stopPostgres('immediate');
        assert.equal((await service.call('GET', '/api/usage', { headers: admin })).status, 503);
        await home.startPostgres();
        await recovers();
      }
    });

    it('is ready again without being asked for anything else', async () => {
      home.stopPostgres('immediate');
      await isDown();
      await home.startPostgres();
      await eventually('ready', async () => (await service.call('GET', '/readyz')).status === 200);
    });

    it('answers in time while the server hangs, and recovers', async () => {
      const other = await home.serve({
        DATABASE_URL: home.url, BINNACLE_DATABASE_STATEMENT_TIMEOUT: '500ms', BINNACLE_HTTP_REQUEST_TIMEOUT: '1500ms',
      });
      const children = home.processes().filter((pid) => pid !== service.child.pid && pid !== other.child.pid);
      for (const pid of children) process.kill(pid, 'SIGSTOP');
      try {
        const answer = await other.call('GET', '/api/usage', { headers: admin });
        assert.ok([503, 504].includes(answer.status), answer.text);
        assert.equal((await other.call('GET', '/healthz')).status, 200);
      } finally {
        for (const pid of children) process.kill(pid, 'SIGCONT');
      }
      await eventually('it works again', async () =>
        (await other.call('GET', '/api/usage', { headers: admin })).status === 200);
      assert.equal(await other.stop(), 0);
    });

    it('a full queue is 503 with Retry-After, and is over when the work is done', async () => {
      const narrow = await home.serve({
        DATABASE_URL: home.url, BINNACLE_DATABASE_CONNECTIONS: '1', BINNACLE_DATABASE_QUEUE: '2',
        BINNACLE_SESSION_MAX_IN_FLIGHT: '100',
        BINNACLE_DATABASE_STATEMENT_TIMEOUT: '5min', BINNACLE_HTTP_REQUEST_TIMEOUT: '5min',
      });
      assert.equal((await narrow.call('GET', '/api/usage', { headers: admin })).status, 200);
      const release = await home.lockUsage();
      const full = [];
      const asked = Array.from({ length: 12 }, async () => {
        const answer = await narrow.call('GET', '/api/usage', { headers: admin });
        if (answer.status !== 200) full.push(answer);
        return answer.status;
      });
      await eventually('most are refused', () => full.length >= 8);
      assert.ok(full.every((a) => a.status === 503 && Number(a.headers['retry-after']) >= 1 && a.json.error));
      assert.equal((await narrow.call('GET', '/healthz')).status, 200);
      release();
      const all = await Promise.all(asked);
      assert.ok(all.includes(200), all.join());
      await eventually('it works again', async () =>
        (await narrow.call('GET', '/api/usage', { headers: admin })).status === 200);
      assert.equal(await narrow.stop(), 0);
    });

    it('stops cleanly while the database is away, and finds everything when it is back', async () => {
      home.stopPostgres('immediate');
      await isDown();
      assert.equal(await service.stop(), 0, service.text);
      await home.startPostgres();
      service = await serve();
      assert.ok((await clusters()).size > 20);
    });
  });

  describe('of its own', () => {
    before(async () => {
      await install();
      service = await home.serve();
    });

    const restarts = async () => Number(
      /^binnacle_postgres_restarts_total (\d+)$/m.exec((await service.call('GET', '/metrics')).text)[1]);

    /// `end` makes it end; the service alone brings it back.
    async function broughtBack(end) {
      const counted = await restarts();
      const { stop, seen } = load();
      await eventually('writes are acknowledged', () => seen.acknowledged.length > 20);
      await end();
      await eventually('answers are 503', () => (seen.statuses.get(503) ?? 0) > 0);
      await recovers();
      const before = seen.acknowledged.length;
      await eventually('writes are acknowledged again', () => seen.acknowledged.length > before + 20);
      const done = await stop();
      assert.deepEqual(done.broken.map(String), [], 'every request gets an answer');
      assert.deepEqual(done.bad.map((a) => [a.status, a.text]), []);
      const present = await clusters();
      assert.deepEqual(done.acknowledged.filter((name) => !present.has(name)), [], 'lost');
      assert.equal(await restarts(), counted + 1);
    }

    it('killed under load: 503 meanwhile, nothing acknowledged is lost, and it comes back', () =>
      broughtBack(() => home.killPostgres()));

    it('killed a second time', () => broughtBack(() => home.killPostgres()));

    it('stopped under load', () => broughtBack(() => home.stopPostgres('fast')));

    it('restarted by an operator, who is not raced', async () => {
      const was = home.postmaster;
      assert.equal(home.postgres('restart', '-w', '-m', 'fast').status, 0);
      assert.notEqual(home.postmaster, was);
      await recovers();
    });

    it('killed just before a stop: nothing is left running, and the next start finds everything', async () => {
      await home.killPostgres();
      assert.equal(await service.stop(), 0, service.text);
      assert.equal(home.postmaster, undefined);
      assert.deepEqual(home.processes().filter(isAlive), []);
      service = await home.serve();
      assert.ok((await clusters()).size > 20);
    });
  });
});

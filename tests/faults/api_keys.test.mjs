/// API keys on two nodes: a revocation is in force everywhere at once, and nothing is believed that
/// may be outdated.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, installation } from './harness.mjs';

describe('API keys', { timeout: 600_000 }, () => {
  const cleanups = [];
  let home, first, second, owner, keys;
  before(async () => {
    home = installation({ after: (f) => cleanups.push(f) });
    const env = { BINNACLE_LIMITS_DEVELOPER_REFUSALS: '100000/60s' };
    first = await home.serve(env);
    second = await home.serve({ ...env, DATABASE_URL: home.url });
    owner = await home.token('ada@example.com');
    const project = `01KA${'0'.repeat(22)}`;
    home.sql(`INSERT INTO developer_projects (id, owner_id, name, created_at, updated_at)
      SELECT '${project}', id, 'a project', now(), now() FROM users WHERE email = 'ada@example.com'`);
    keys = `/dashboard/projects/${project}/api-keys`;
  });
  after(async () => { for (const f of cleanups.reverse()) await f(); });

  const make = async () => {
    const made = await first.call('POST', keys, { headers: owner, body: { name: 'a key' } });
    assert.equal(made.status, 201, made.text);
    return made.json.data;
  };
  const ask = async (service, { clientId, clientSecret }) =>
    (await service.call('POST', '/auth/verify-key', { body: { clientId, clientSecret } })).status;
  const revoke = async (service, { id }) => {
    const { status, text } = await service.call('DELETE', `${keys}/${id}`, { headers: owner });
    assert.equal(status, 200, text);
  };
  const metric = async (service, name) =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec((await service.call('GET', '/metrics')).text)?.[1] ?? 0);
  const listeners = "application_name = 'binnacle listener'";

  it('are verified from memory', async () => {
    const key = await make();
    for (const service of [first, second]) {
      assert.equal(await ask(service, key), 200);
      const reads = await metric(service, 'binnacle_api_key_reads_total');
      for (let i = 0; i < 50; i += 1) assert.equal(await ask(service, key), 200);
      assert.equal(await metric(service, 'binnacle_api_key_reads_total'), reads);
    }
  });

  it('that one node revokes are good at no other', async () => {
    for (const [here, there] of [[first, second], [second, first]]) {
      for (let round = 0; round < 20; round += 1) {
        const key = await make();
        for (const service of [here, there]) assert.equal(await ask(service, key), 200);
        await revoke(here, key);
        assert.equal(await ask(here, key), 401); // no waiting
        const revoked = Date.now();
        await eventually('the other node knows', async () => (await ask(there, key)) === 401 || undefined);
        assert.ok(Date.now() - revoked < 1_000, `after ${Date.now() - revoked} ms`);
      }
    }
  });

  it('are read anew while a node does not hear of changes', async () => {
    const key = await make();
    assert.equal(await ask(second, key), 200);
    // Whenever its connection comes back, it goes again.
    const stopping = setInterval(() => home.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${listeners}`), 50);
    try {
      await revoke(first, key);
      await eventually('the other node knows', async () => (await ask(second, key)) === 401 || undefined);
    } finally {
      clearInterval(stopping);
    }
    for (const service of [first, second])
      await eventually('it listens', async () => (await service.call('GET', '/readyz')).status === 200 || undefined);
    assert.equal(await ask(second, await make()), 200);
  });

  it('cannot be verified while the database is away, and can again when it is back', async () => {
    const key = await make();
    assert.equal(await ask(second, key), 200);
    await home.killPostgres();
    await eventually('it does not listen', async () => (await ask(second, key)) === 503 || undefined);
    assert.equal(await ask(second, key), 503); // not 200, not 401: it does not know
    await home.startPostgres();
    await eventually('it knows again', async () => (await ask(second, key)) === 200 || undefined);
    for (const service of [first, second])
      await eventually('it is ready', async () => (await service.call('GET', '/readyz')).status === 200 || undefined);
  });

  it('were used until the node stopped', async () => {
    const key = await make();
    assert.equal(await ask(second, key), 200);
    assert.equal(await second.stop(), 0);
    assert.match(home.sql(`SELECT last_used_at FROM project_api_keys WHERE id = '${key.id}'`), /^\d{4}-/);
  });
});

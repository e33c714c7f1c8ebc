/// Idempotency-Key across two nodes, over an outage of the database and over kill -9.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { addCluster, eventually, installation, openCost } from './harness.mjs';

describe('idempotency', { timeout: 600_000 }, () => {
  const cleanups = [];
  const test = { after: (f) => cleanups.push(f) };
  let home, first, second, admin, upstream, clusterId;

  const node = () => home.serve({ DATABASE_URL: home.url });

  before(async () => {
    home = installation(test);
    first = await home.serve();
    second = await node();
    admin = await home.token('root@example.com', { admin: true });
    upstream = await openCost(test, home, { namespaces: ['analytics'] });
    clusterId = await addCluster(first, admin, upstream);
  });
  beforeEach(() => home.startPostgres());
  after(async () => { for (const f of cleanups.reverse()) await f(); });

  const send = (service, path, key, body) =>
    service.call('POST', path, { headers: { ...admin, 'idempotency-key': key }, body });
  const create = (service, key, name) =>
    send(service, '/api/admin/clusters', key, { name, api_url: 'https://127.0.0.1:1' });
  const probe = (service, key) => send(service, '/api/admin/test-opencost', key, { clusterId });
  const replayed = (answer) => answer.headers['idempotency-replayed'] === 'true';
  const rows = (name) => home.sql(`SELECT count(*) FROM clusters WHERE name = '${name}'`);
  const claimed = (key) => eventually('the key is claimed', () =>
    home.sql(`SELECT count(*) FROM idempotency_keys WHERE key = '${key}'`) === '1');
  const endLease = (key) =>
    home.sql(`UPDATE idempotency_keys SET lease_until = now() - interval '1 s' WHERE key = '${key}'`);

  it('what one node has executed the other replays', async () => {
    const key = randomUUID();
    const done = await create(first, key, 'two nodes');
    assert.equal(done.status, 201, done.text);
    const again = await create(second, key, 'two nodes');
    assert.equal(again.status, 201, again.text);
    assert.ok(replayed(again));
    assert.equal(again.text, done.text);
    assert.equal((await create(second, key, 'another')).status, 422);
    assert.equal(rows('two nodes'), '1');
  });

  it('what runs on one node is in progress on the other', async () => {
    const key = randomUUID();
    await upstream.fault({ kind: 'hang' });
    const running = probe(first, key);
    await claimed(key);
    const refused = await probe(second, key);
    assert.equal(refused.status, 409, refused.text);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    await upstream.clear();
    const done = await running;
    assert.equal(done.status, 200, done.text);
    const again = await probe(second, key);
    assert.ok(replayed(again));
    assert.equal(again.text, done.text);
  });

  it('twenty at once on two nodes are one execution', async () => {
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
      create(i % 2 ? first : second, key, 'twenty')));
    const statuses = answers.map((a) => a.status).join();
    assert.equal(answers.filter((a) => a.status === 201 && !replayed(a)).length, 1, statuses);
    assert.ok(answers.every((a) => a.status === 201 || /still in progress/.test(a.text)), statuses);
    assert.equal(rows('twenty'), '1');
  });

  it('a database that is away leaves nothing behind', async () => {
    const key = randomUUID();
    home.stopPostgres('immediate');
    assert.equal((await create(first, key, 'outage')).status, 503);
    await home.startPostgres();
    const done = await eventually('it works again', async () => {
      const answer = await create(first, key, 'outage');
      return answer.status !== 503 && answer;
    });
    assert.equal(done.status, 201, done.text);
    assert.ok(!replayed(done));
    assert.equal(rows('outage'), '1');
  });

  it('a fault of ours is not kept', async () => {
    const key = randomUUID();
    home.sql("ALTER TABLE clusters RENAME TO clusters_away");
    const failed = await create(first, key, 'after a fault').finally(() =>
      home.sql("ALTER TABLE clusters_away RENAME TO clusters"));
    assert.equal(failed.status, 500, failed.text);
    assert.equal(home.sql(`SELECT count(*) FROM idempotency_keys WHERE key = '${key}'`), '0');
    const done = await create(first, key, 'after a fault');
    assert.equal(done.status, 201, done.text);
    assert.ok(!replayed(done));
  });

  it('an answer that cannot be kept is given all the same, and its key is free when the lease ends', async () => {
    const key = randomUUID();
    await upstream.fault({ kind: 'hang' });
    const running = probe(first, key);
    await claimed(key);
    await eventually('the upstream is asked', async () => (await upstream.requests()).at(-1)?.fault === 'hang');
    home.stopPostgres('immediate');
    await upstream.clear();
    assert.equal((await running).status, 200);
    await home.startPostgres();
    const next = await eventually('it works again', async () => {
      const answer = await probe(first, key);
      return answer.status !== 503 && answer;
    });
    assert.equal(next.status, 409, next.text);
    endLease(key);
    assert.equal((await probe(first, key)).status, 200);
    assert.ok(replayed(await probe(second, key)));
  });

  it('after kill -9 in the middle the key is held until its lease ends, then executed once more', async () => {
    const key = randomUUID();
    await upstream.fault({ kind: 'hang' });
    const lost = assert.rejects(probe(second, key));
    await claimed(key);
    await eventually('the upstream is asked', async () => (await upstream.requests()).at(-1)?.fault === 'hang');
    assert.equal(await second.stop('SIGKILL'), 'SIGKILL');
    await lost;
    await upstream.clear();
    second = await node();
    assert.equal((await probe(second, key)).status, 409);
    assert.equal((await probe(first, key)).status, 409);

    endLease(key);
    const answers = await Promise.all([probe(first, key), probe(second, key)]);
    const executed = answers.filter((a) => a.status === 200 && !replayed(a));
    assert.equal(executed.length, 1, answers.map((a) => a.status).join());
    const again = await probe(second, key);
    assert.ok(replayed(again));
    assert.equal(again.text, executed[0].text);
  });
});

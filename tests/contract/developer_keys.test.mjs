/// API keys of developers' projects (developer.md §6 to §8): made, listed, revoked, rotated, verified.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { expect, startService, until } from './harness.mjs';
import { SECONDS, ULID, developer, newKey, refusal, ulid, verify } from './developer.mjs';

const NO_PROJECT = refusal('not_found', 'Project not found');
const NOT_YOURS = refusal('forbidden', "You don't own this project");
const NO_KEY = refusal('not_found', 'API key not found');
const INVALID = refusal('unauthorized', 'API key is not valid');
const WARNING = 'The client secret is shown only once. Please save it securely.';

let service;
before(async () => {
  service = await startService({ env: { BINNACLE_LIMITS_DEVELOPER_REFUSALS: '100000/60s',
    BINNACLE_SESSION_MAX_IN_FLIGHT: '100' } });
});
after(() => service?.stop());

let people = 0;
const somebody = () => developer(service, `developer${people += 1}@example.com`);
const list = async ({ token, keys }) => expect(await service.call('GET', keys, { token }), 200).json;
const revoke = ({ token, keys }, id) => service.call('DELETE', `${keys}/${id}`, { token });
const rotate = ({ token, keys }, id, body) => service.call('POST', `${keys}/${id}/rotate`, { token, body });
const value = (sql) => service.sql(sql)[0]?.[0];

// -- access ------------------------------------------------------------------------------------------

test('keys are for their project\'s owner: 401, 403, 404', async () => {
  const owner = await somebody(), other = await somebody();
  const { id } = await newKey(service, owner);
  for (const [method, path, body] of [['GET', ''], ['POST', '', { name: 'x' }], ['DELETE', `/${id}`],
    ['POST', `/${id}/rotate`, {}]]) {
    const as = (token, keys) => service.call(method, `${keys}${path}`, { token, body });
    expect(await as(undefined, owner.keys), 401, refusal('unauthorized', 'authentication required'));
    expect(await as(other.token, owner.keys), 403, NOT_YOURS);
    expect(await as(owner.token, `/dashboard/projects/${ulid()}/api-keys`), 404, NO_PROJECT);
    expect(await as(owner.token, '/dashboard/projects/nothing/api-keys'), 404, NO_PROJECT);
  }
  for (const unknown of [ulid(), 'nothing', "'; DROP TABLE users; --"].map(encodeURIComponent)) {
    expect(await revoke(owner, unknown), 404, NO_KEY);
    expect(await rotate(owner, unknown), 404, NO_KEY);
  }
  const elsewhere = await somebody();
  service.sql(`UPDATE developer_projects SET owner_id = '${owner.id}' WHERE id = '${elsewhere.project}'`);
  expect(await revoke({ ...elsewhere, token: owner.token }, id), 404, NO_KEY);
  assert.equal((await list(owner)).data[0].status, 'active');
  expect(await service.call('PUT', owner.keys, { token: owner.token, body: {} }), 405);
});

test('an API key is no credential of the dashboard', async () => {
  const owner = await somebody();
  const { clientId, clientSecret } = await newKey(service, owner);
  for (const Authorization of [`Bearer ${clientSecret}`, `Bearer ${clientId}`,
    `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`])
    expect(await service.call('GET', owner.keys, { headers: { Authorization } }), 401);
});

// -- making and listing ------------------------------------------------------------------------------

test('a key is shown with its secret once, and masked ever after', async () => {
  const owner = await somebody();
  assert.deepEqual(await list(owner), { data: [], meta: { total: 0 } });

  const answer = expect(await service.call('POST', owner.keys, { token: owner.token,
    body: { name: '  Staging Key ', scopes: ['orders:write', 'orders:read', 'orders:write'] } }), 201);
  const { data, warning } = answer.json;
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.equal(warning, WARNING);
  assert.deepEqual(Object.keys(data), ['id', 'name', 'clientId', 'clientSecret', 'status', 'scopes',
    'previousSecretExpiresAt', 'createdAt']);
  assert.match(data.id, ULID);
  assert.match(data.clientId, /^pk_[0-9a-f]{32}$/);
  assert.match(data.clientSecret, /^sk_[0-9a-f]{64}$/);
  assert.match(data.createdAt, SECONDS);
  assert.deepEqual([data.name, data.status, data.scopes, data.previousSecretExpiresAt],
    ['Staging Key', 'active', ['orders:read', 'orders:write'], null]);

  const second = await newKey(service, owner, { name: 'second' });
  const seen = await list(owner);
  assert.deepEqual(seen.data.map((k) => k.id), [second.id, data.id]);
  assert.deepEqual(seen.meta, { total: 2 });
  assert.deepEqual(seen.data[1], { id: data.id, name: 'Staging Key', clientId: data.clientId,
    clientSecretMasked: `sk_***${data.clientSecret.slice(-4)}`, status: 'active', scopes: data.scopes,
    previousSecretExpiresAt: null, lastUsedAt: null, createdAt: data.createdAt, revokedAt: null });
  assert.deepEqual(second.scopes, []);
});

test('a key needs a name of 1 to 100 characters, and scopes that are words', async () => {
  const owner = await somebody();
  const make = (body) => service.call('POST', owner.keys, { token: owner.token, body });
  for (const body of [{}, { name: '' }, { name: '  ' }, { name: 'x'.repeat(101) }, { name: 5 }, { name: null }, { name: 'a\nb' },
    { name: 'x', scopes: 'orders' }, { name: 'x', scopes: [''] }, { name: 'x', scopes: ['a b'] },
    { name: 'x', scopes: ['ä'] }, { name: 'x', scopes: [1] }, { name: 'x', scopes: ['x'.repeat(65)] },
    { name: 'x', scopes: Array.from({ length: 33 }, (_, i) => `s${i}`) }, '[]', '{', '"x"']) {
    const { error } = expect(await make(body), 400).json;
    assert.equal(error.code, 'validation_error', JSON.stringify(body));
  }
  expect(await make('{'), 400, refusal('validation_error', 'invalid JSON body'));
  expect(await service.call('POST', owner.keys, { token: owner.token, body: 'name=x',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }), 415);
  expect(await make({ name: 'ü'.repeat(100) }), 201);
  assert.equal((await list(owner)).meta.total, 1);
});

test('a project has a hundred active keys at most, however many are made at once', async () => {
  const owner = await somebody();
  service.sql(`INSERT INTO project_api_keys (id, project_id, name, client_id, secret_digest, secret_last, created_at)
    SELECT '01KB' || lpad(n::text, 22, '0'), '${owner.project}', 'n' || n, 'pk_' || md5('${owner.project}' || n), sha256('x'), 'abcd', now()
    FROM generate_series(1, 95) n`);
  const made = await Promise.all(Array.from({ length: 12 }, () =>
    service.call('POST', owner.keys, { token: owner.token, body: { name: 'more' } })));
  assert.deepEqual(made.map((a) => a.status).sort(), [...Array(5).fill(201), ...Array(7).fill(409)]);
  expect(await revoke(owner, (await list(owner)).data[0].id), 200);
  await newKey(service, owner);
});

test('a repeated request with an Idempotency-Key makes one key, and its secret is kept nowhere', async () => {
  const owner = await somebody();
  const headers = { 'Idempotency-Key': randomUUID() };
  const make = () => service.call('POST', owner.keys, { token: owner.token, headers, body: { name: 'once' } });
  const first = expect(await make(), 201), again = expect(await make(), 201);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.equal(again.text, first.text);
  assert.equal((await list(owner)).meta.total, 1);
  assert.equal(value(`SELECT count(*) FROM idempotency_keys t WHERE t::text LIKE '%${first.json.data.clientSecret.slice(3)}%'`), '0');
});

// -- revoking ----------------------------------------------------------------------------------------

test('a key is revoked once: again gives when it was, and it verifies no longer at once', async () => {
  const owner = await somebody();
  const key = await newKey(service, owner);
  expect(await verify(service, key), 200);

  const first = expect(await revoke(owner, key.id), 200);
  expect(await verify(service, key), 401, INVALID);

  const { data, message } = first.json;
  assert.equal(message, 'API key has been revoked');
  assert.deepEqual({ ...data, revokedAt: '' }, { id: key.id, status: 'revoked', revokedAt: '' });
  assert.match(data.revokedAt, SECONDS);
  service.sql(`UPDATE project_api_keys SET revoked_at = revoked_at - interval '1 hour' WHERE id = '${key.id}'`);
  const again = expect(await revoke(owner, key.id), 200);
  assert.equal(Date.parse(again.json.data.revokedAt), Date.parse(data.revokedAt) - 3_600_000);
  const [listed] = (await list(owner)).data;
  assert.deepEqual([listed.status, listed.revokedAt], ['revoked', again.json.data.revokedAt]);
});

test('under load, no verification that begins after a revocation was answered succeeds', async () => {
  const owner = await somebody();
  for (let round = 0; round < 10; round += 1) {
    const key = await newKey(service, owner);
    let revoked = false, late = 0;
    const asking = Array.from({ length: 8 }, async () => {
      for (let after = 0; after < 5;) {
        const begun = revoked;
        const { status } = await verify(service, key);
        if (begun) { after += 1; late += status === 200; }
      }
    });
    await verify(service, key);
    expect(await revoke(owner, key.id), 200);
    revoked = true;
    await Promise.all(asking);
    assert.equal(late, 0);
  }
});

// -- rotating ----------------------------------------------------------------------------------------

test('a rotated key keeps its id and its old secret for a grace', async () => {
  const owner = await somebody();
  const old = await newKey(service, owner, { name: 'rotated', scopes: ['a'] });
  const answer = expect(await rotate(owner, old.id, { gracePeriodSeconds: 3600 }), 200);
  const { data, warning } = answer.json;
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.equal(warning, WARNING);
  assert.deepEqual([data.id, data.clientId, data.name, data.scopes, data.status, data.createdAt],
    [old.id, old.clientId, 'rotated', ['a'], 'active', old.createdAt]);
  assert.notEqual(data.clientSecret, old.clientSecret);
  assert.match(data.clientSecret, /^sk_[0-9a-f]{64}$/);
  assert.match(data.previousSecretExpiresAt, SECONDS);
  assert.ok(Math.abs(Date.parse(data.previousSecretExpiresAt) - Date.now() - 3_600_000) < 60_000);

  assert.equal(expect(await verify(service, data), 200).json.data.secretExpiresAt, null);
  assert.equal(expect(await verify(service, old), 200).json.data.secretExpiresAt, data.previousSecretExpiresAt);
  const [listed] = (await list(owner)).data;
  assert.deepEqual([listed.clientSecretMasked, listed.previousSecretExpiresAt],
    [`sk_***${data.clientSecret.slice(-4)}`, data.previousSecretExpiresAt]);

  // The grace is over.
  service.sql(`UPDATE project_api_keys SET previous_until = now() WHERE id = '${old.id}'`);
  service.announce(`api_keys:${owner.id}`);
  await until('it is over', async () => (await verify(service, old)).status === 401);
  expect(await verify(service, data), 200);
  assert.equal((await list(owner)).data[0].previousSecretExpiresAt, null);
});

test('a second rotation ends the secret of before, and one without a grace the present one', async () => {
  const owner = await somebody();
  const first = await newKey(service, owner);
  const second = expect(await rotate(owner, first.id), 200).json.data; // a day, when nothing is said
  assert.ok(Math.abs(Date.parse(second.previousSecretExpiresAt) - Date.now() - 86_400_000) < 60_000);
  const third = expect(await rotate(owner, first.id, {}), 200).json.data;
  expect(await verify(service, first), 401, INVALID);
  expect(await verify(service, second), 200);
  const fourth = expect(await rotate(owner, first.id, { gracePeriodSeconds: 0 }), 200).json.data;
  assert.equal(fourth.previousSecretExpiresAt, null);
  for (const over of [first, second, third]) expect(await verify(service, over), 401, INVALID);
  expect(await verify(service, fourth), 200);
});

test('what cannot be rotated', async () => {
  const owner = await somebody();
  const key = await newKey(service, owner);
  for (const gracePeriodSeconds of [-1, 1.5, '5', 2_592_001, true])
    expect(await rotate(owner, key.id, { gracePeriodSeconds }), 400);
  expect(await revoke(owner, key.id), 200);
  expect(await rotate(owner, key.id), 409, refusal('conflict', 'API key has been revoked'));
  expect(await verify(service, key), 401);
});

// -- verifying ---------------------------------------------------------------------------------------

test('whoever was shown a key learns whose it is and what it is for', async () => {
  const owner = await somebody();
  const key = await newKey(service, owner, { name: 'Production', scopes: ['orders:read', 'orders:write'] });
  const data = { valid: true, projectId: owner.project, keyId: key.id, name: 'Production',
    scopes: ['orders:read', 'orders:write'], secretExpiresAt: null };
  for (let i = 0; i < 2; i += 1) { // from the database, and from memory
    const answer = expect(await verify(service, key), 200, { data });
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['x-ratelimit-limit'], undefined);
  }
  for (const scope of ['orders:read', 'orders:write orders:read', '', null])
    expect(await verify(service, key, { scope }), 200);
  for (const scope of ['admin', 'orders:read admin', 'orders'])
    expect(await verify(service, key, { scope }), 403, refusal('forbidden', 'API key lacks a required scope'));
});

test('a key that is not good is not, whatever is wrong with it', async () => {
  const owner = await somebody();
  const key = await newKey(service, owner), other = await newKey(service, owner);
  const hex = (bytes) => randomBytes(bytes).toString('hex');
  for (const [clientId, clientSecret] of [[key.clientId, other.clientSecret], [key.clientId, `sk_${hex(32)}`],
    [`pk_${hex(16)}`, key.clientSecret], [key.clientId, key.clientId], [key.clientId, 'sk_'],
    [key.clientId.toUpperCase(), key.clientSecret], [key.clientId, `${key.clientSecret}0`], ['%', '%'],
    [key.clientId, key.clientSecret.toUpperCase()], [`${key.clientId} `, key.clientSecret]])
    for (let i = 0; i < 2; i += 1)
      expect(await verify(service, { clientId, clientSecret }), 401, INVALID);
  for (const body of [{}, { clientId: key.clientId }, { clientSecret: key.clientSecret },
    { clientId: 1, clientSecret: 2 }, { ...key, clientId: null }, { ...key, scope: ['a'] }, '[]', '{'])
    assert.equal(expect(await service.call('POST', '/auth/verify-key', { body }), 400).json.error.code, 'validation_error');
  expect(await service.call('GET', '/auth/verify-key'), 405);
  expect(await verify(service, key), 200);
});

test('a verification is executed each time, even with an Idempotency-Key', async () => {
  const owner = await somebody();
  const key = await newKey(service, owner);
  const ask = () => verify(service, key, {}, { headers: { 'Idempotency-Key': 'the same' } });
  expect(await ask(), 200);
  expect(await revoke(owner, key.id), 200);
  expect(await ask(), 401, INVALID);
});

test('a key ends with its project and rests with its owner', async () => {
  const owner = await somebody();
  const key = await newKey(service, owner);
  expect(await verify(service, key), 200);
  service.changeUser(owner.id, "status = 'suspended'");
  await until('it rests', async () => (await verify(service, key)).status === 401);
  service.changeUser(owner.id, "status = 'active'");
  await until('it is good again', async () => (await verify(service, key)).status === 200);
  service.sql(`UPDATE developer_projects SET deleted_at = now() WHERE id = '${owner.project}'`);
  service.announce(`api_keys:${owner.id}`);
  await until('it has ended', async () => (await verify(service, key)).status === 401);
});

test('the last use is seen, and what is not good leaves no trace', async () => {
  const owner = await somebody();
  const used = await newKey(service, owner), unused = await newKey(service, owner);
  const began = Date.now();
  for (let i = 0; i < 20; i += 1) expect(await verify(service, used), 200);
  await verify(service, { ...unused, clientSecret: used.clientSecret });
  await verify(service, unused, { scope: 'none' });
  const seen = await until('it is written', async () =>
    (await list(owner)).data.find((k) => k.id === used.id).lastUsedAt);
  assert.ok(Math.abs(Date.parse(seen) - began) < 61_000, seen);
  assert.equal((await list(owner)).data.find((k) => k.id === unused.id).lastUsedAt, null);
});

// -- limits and secrecy ------------------------------------------------------------------------------

test('only what is refused is counted, and who is genuine is never turned away', async () => {
  const strict = await startService({ env: { BINNACLE_LIMITS_DEVELOPER_REFUSALS: '3/60s' } });
  try {
    const owner = await developer(strict, 'strict@example.com');
    const key = await newKey(strict, owner);
    const wrong = { ...key, clientSecret: `sk_${'0'.repeat(64)}` };
    const from = { from: '127.0.0.9' };
    for (let i = 0; i < 10; i += 1) expect(await verify(strict, key, {}, from), 200);
    for (const left of ['2', '1', '0']) {
      const refused = expect(await verify(strict, wrong, {}, from), 401, INVALID);
      assert.deepEqual([refused.headers['x-ratelimit-limit'], refused.headers['x-ratelimit-remaining']], ['3', left]);
    }
    const over = expect(await verify(strict, wrong, {}, from), 429);
    assert.equal(over.json.error.code, 'rate_limit_exceeded');
    assert.ok(Number(over.headers['retry-after']) > 0);
    expect(await strict.call('POST', '/auth/refresh', { ...from, body: { refreshToken: 'x' } }), 429);
    for (let i = 0; i < 10; i += 1) expect(await verify(strict, key, {}, from), 200);
    const unread = await newKey(strict, owner); // not in memory yet
    expect(await verify(strict, unread, {}, from), 200);
    expect(await verify(strict, key, { scope: 'none' }, from), 403);
    expect(await verify(strict, wrong, {}, { from: '127.0.0.10' }), 401);
  } finally {
    await strict.stop();
  }
});

test('a dump of the database and the logs have no secret', async () => {
  const owner = await somebody();
  const first = await newKey(service, owner);
  const rotated = expect(await rotate(owner, first.id), 200).json.data;
  for (const key of [first, rotated]) expect(await verify(service, key), 200);
  await verify(service, { ...first, clientSecret: `sk_${'7'.repeat(64)}` });
  await until('the use is written', () => value(`SELECT last_used_at FROM project_api_keys WHERE id = '${first.id}'`));

  const dump = spawnSync('pg_dump', ['-h', join(service.data, 'postgres/run'), '-U', 'binnacle', 'binnacle'], {
    env: { PATH: process.env.PATH, PGPASSWORD: readFileSync(join(service.data, 'secrets/postgres-password'), 'utf8').trim() },
    encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(dump.status, 0, dump.stderr);
  const kept = dump.stdout + service.output + readFileSync(join(service.directory, 'access.log'), 'utf8');
  assert.ok(dump.stdout.includes(first.clientId));
  for (const { clientSecret } of [first, rotated])
    for (const part of [clientSecret, clientSecret.slice(3), clientSecret.slice(-8), clientSecret.slice(3, 15)])
      assert.ok(!kept.includes(part), part);
});

test('the audit log says who made, rotated and revoked a key', async () => {
  const owner = await somebody();
  const { id } = await newKey(service, owner);
  expect(await rotate(owner, id), 200);
  expect(await revoke(owner, id), 200);
  const entries = service.sql(`SELECT action FROM audit_log WHERE actor = '${owner.id}' AND target = '${id}' ORDER BY id`);
  assert.deepEqual(entries.flat(), ['API_KEY_CREATED', 'API_KEY_ROTATED', 'API_KEY_REVOKED']);
});

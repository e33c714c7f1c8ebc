/// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) on every unsafe route.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, repository, startCompany, until } from './harness.mjs';
import { PRODUCTS, hubHeaders, startStandIn } from './stripe.mjs';

const SECRET = 'cron-secret-of-the-keys';
const REPLAYED = 'idempotency-replayed';
let company, service, admin, stripe;

before(async () => {
  stripe = await startStandIn();
  company = await startCompany({
    env: { ...stripe.env, CRON_SECRET: SECRET, BINNACLE_RATE_LIMIT_SCALE: '1000',
      STRIPE_WEBHOOK_SECRET: 'whsec_keys', AUTH0_WEBHOOK_SECRET: SECRET,
      AUTH0_ISSUER_BASE_URL: 'https://demo.eu.auth0.com',
      BINNACLE_SESSION_MAX_IN_FLIGHT: '100', BINNACLE_COLLECTOR_BACKFILL_HOURS: '1' },
    standIn: ['--namespaces', 'analytics'],
  });
  ({ service, admin } = company);
  service.sql(PRODUCTS); // so that there is something to subscribe to
});
after(() => Promise.all([company?.stop(), stripe?.close()]));

const keyed = (key, options = {}) =>
  ({ ...options, headers: { ...options.headers, 'Idempotency-Key': key } });
const send = (method, path, key, options) => service.call(method, path, keyed(key, options));
const addCluster = (key, name, more = {}) => send('POST', '/api/admin/clusters', key,
  { token: admin, body: { name, api_url: 'https://hopsworks.example.com' }, ...more });
const SESSIONS_OF = (username) =>
  `SELECT count(*) FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = '${username}'`;
const clustersCalled = async (name) =>
  expect(await service.call('GET', '/api/admin/clusters', { token: admin }), 200)
    .json.clusters.filter((c) => c.name === name).length;

/// The second answer is the first, and says that it is.
function assertReplay(first, second) {
  assert.equal(first.headers[REPLAYED], undefined, first.asked);
  assert.equal(second.headers[REPLAYED], 'true', `${second.asked} -> ${second.status} ${second.text}`);
  assert.equal(second.status, first.status);
  assert.equal(second.text, first.text);
  for (const name of ['content-type', 'cache-control', 'set-cookie', 'location'])
    assert.deepEqual(second.headers[name], first.headers[name], `${second.asked}: ${name}`);
}

// -- every route -------------------------------------------------------------------------------------

/// The unsafe routes of the table. Whoever adds one finds it here without a word.
function unsafeRoutes() {
  const table = readFileSync(join(repository, 'http/routes/table.cpp'), 'utf8');
  return [...table.matchAll(/\{\s*(post|put|patch|delete_),\s*"([^"]+)",\s*&(\w+),\s*who::(\w+)/g)]
    .map(([, verb, path, face, who]) => [verb.replace('_', '').toUpperCase(), path, face, who]);
}
const credentials = (face, who) => ({
  ...({ user: { token: admin }, admin: { token: admin }, cron: { token: SECRET },
    auth0: { headers: { 'X-Auth0-Secret': SECRET } } })[who],
  ...(['hub', 'assinante'].includes(face) ? hubHeaders(service) : {}),
});

assert.ok(unsafeRoutes().length >= 9, 'this test does not find the routes');
for (const [method, pattern, face, who] of unsafeRoutes()) {
  if (pattern === '/api/team/members' && method === 'PATCH') continue; // 501: nothing is executed
  if (pattern === '/auth/verify-key') continue; // changes nothing, and is answered anew each time
  test(`${method} ${pattern} replays its answer`, async () => {
    const path = pattern.replace(/\{\w+\}/g, 'nothing');
    const key = randomUUID();
    const first = await send(method, path, key, { ...credentials(face, who), body: {} });
    assert.ok(first.status < 500 && ![401, 403].includes(first.status), `${first.status} ${first.text}`);
    assertReplay(first, await send(method, path, key, { ...credentials(face, who), body: {} }));

    const other = await send(method, path, key, { ...credentials(face, who), body: { other: true } });
    expect(other, 422);
    assert.match(other.text, /Idempotency-Key/);
    const bad = await send(method, path, '""', { ...credentials(face, who), body: {} });
    expect(bad, 400);
    assert.match(bad.text, /Idempotency-Key/);
  });
}

// -- what a key means --------------------------------------------------------------------------------

test('a write is executed once, and its answer given again', async () => {
  const key = randomUUID();
  const first = expect(await addCluster(key, 'once'), 201);
  assertReplay(first, await addCluster(key, 'once'));
  assertReplay(first, await addCluster(`"${key}"`, 'once')); // quoted, as the draft has it
  assert.equal(await clustersCalled('once'), 1);
});

test('a refusal is an outcome too', async () => {
  const key = randomUUID();
  const first = expect(await addCluster(key, ''), 400);
  assertReplay(first, await addCluster(key, ''));
});

test('an update of the same field twice happens once', async () => {
  const { id } = expect(await addCluster(randomUUID(), 'renamed'), 201).json.cluster;
  const rename = (key, name) => send('PUT', '/api/admin/clusters', key, { token: admin, body: { id, name } });
  const key = randomUUID();
  const first = expect(await rename(key, 'second name'), 200);
  expect(await rename(randomUUID(), 'third name'), 200);
  assertReplay(first, await rename(key, 'second name'));
  assert.equal(await clustersCalled('third name'), 1);
});

test('another body, path, query or method with the same key is 422', async () => {
  const key = randomUUID();
  expect(await addCluster(key, 'first body'), 201);
  const error = 'This Idempotency-Key was used with another request';
  expect(await addCluster(key, 'second body'), 422, { error });
  const body = { name: 'first body', api_url: 'https://hopsworks.example.com' };
  expect(await send('POST', '/api/admin/test-opencost', key, { token: admin, body }), 422, { error });
  expect(await send('POST', '/api/admin/clusters?x=1', key, { token: admin, body }), 422, { error });
  expect(await send('PUT', '/api/admin/clusters', key, { token: admin, body }), 422, { error });
  assert.equal(await clustersCalled('second body'), 0);
});

test('without the header every request is executed', async () => {
  const add = () => service.call('POST', '/api/admin/clusters',
    { token: admin, body: { name: 'without a key', api_url: 'https://hopsworks.example.com' } });
  expect(await add(), 201);
  const second = expect(await add(), 409); // the name is taken
  assert.equal(second.headers[REPLAYED], undefined);
});

test('a safe request may carry whatever it likes', async () => {
  for (const key of ['k', '""', 'x'.repeat(300)])
    for (let i = 0; i < 2; ++i) {
      const answer = expect(await send('GET', '/api/usage', key, { token: admin }), 200);
      assert.equal(answer.headers[REPLAYED], undefined);
    }
});

test('a key that is none is refused, and nothing is executed', async () => {
  for (const key of ['', '""', 'a b', '"open', '"a", "b"', 'x'.repeat(256), '"caf\u00e9"']) {
    const answer = expect(await addCluster(key, 'never'), 400);
    assert.deepEqual(answer.json, { details: 'Idempotency-Key',
      error: 'Idempotency-Key must be 1 to 255 printable ASCII characters' });
  }
  expect(await send('POST', '/api/admin/clusters', ['a', 'b'], { token: admin, body: {} }), 400);
  expect(await addCluster('x'.repeat(255), 'the longest key'), 201);
  assert.equal(await clustersCalled('never'), 0);
});

test('two users with the same key do not meet', async () => {
  const other = await service.adminToken('other@example.com');
  const key = randomUUID();
  expect(await addCluster(key, 'of the first'), 201);
  const second = expect(await addCluster(key, 'of the second', { token: other }), 201);
  assert.equal(second.headers[REPLAYED], undefined);
  expect(await addCluster(key, 'of the second'), 422);
});

test('one without access learns nothing from a key', async () => {
  const key = randomUUID();
  expect(await addCluster(key, 'secret'), 201);
  expect(await addCluster(key, 'secret', { token: undefined }), 401);
  expect(await addCluster(key, 'secret', { token: await service.token('nobody@example.com') }), 403);
});

test('one that still runs is 409 with Retry-After; afterwards it is replayed', async () => {
  const key = randomUUID();
  const probe = () => send('POST', '/api/admin/test-opencost', key,
    { token: admin, body: { clusterId: company.cluster } });
  await company.standIn.fail({ kind: 'hang' });
  const first = probe();
  await until('it is claimed', () =>
    service.sql(`SELECT 1 FROM idempotency_keys WHERE key = '${key}'`).length);
  const second = expect(await probe(), 409,
    { error: 'A request with this Idempotency-Key is still in progress' });
  assert.ok(Number(second.headers['retry-after']) >= 1);
  assert.equal(second.headers[REPLAYED], undefined);
  const other = await send('POST', '/api/admin/test-opencost', key, { token: admin, body: {} });
  expect(other, 422);
  await company.standIn.recover();
  const done = expect(await first, 200);
  assertReplay(done, await probe());
});

test('twenty at once are one execution', async () => {
  await service.user('twenty');
  const key = randomUUID();
  const logIn = () => send('POST', '/api/auth/login', key,
    { body: { username: 'twenty', password: PASSWORD } });
  const answers = await Promise.all(Array.from({ length: 20 }, logIn));
  const executed = answers.filter((a) => a.status === 200 && !a.headers[REPLAYED]);
  assert.equal(executed.length, 1, answers.map((a) => a.status).join());
  for (const answer of answers)
    if (answer.status !== 409) expect(answer, 200, executed[0].json);
  assert.deepEqual(service.sql(SESSIONS_OF('twenty')), [['1']]);
  assertReplay(executed[0], await logIn());
});

// -- secrets -----------------------------------------------------------------------------------------

test('a login is replayed with its cookie, and the database holds neither that nor the password', async () => {
  await service.user('keyed');
  const key = randomUUID();
  const logIn = (options) => send('POST', '/api/auth/login', key,
    { body: { username: 'keyed', password: PASSWORD }, ...options });
  const first = expect(await logIn(), 200);
  assertReplay(first, await logIn());
  const { value } = first.cookies.session;
  expect(await service.call('GET', '/api/auth/me', { cookie: `session=${value}` }), 200);
  assert.deepEqual(service.sql(SESSIONS_OF('keyed')), [['1']]);
  const stored = service.sql('SELECT k::text FROM idempotency_keys k').flat().join('\n');
  assert.ok(stored.includes(key));
  for (const secret of [value, PASSWORD, 'Set-Cookie', '"success"']) assert.ok(!stored.includes(secret), secret);
  // Callers without a credential are told apart by their address.
  assert.equal(expect(await logIn({ from: '127.0.9.1' }), 200).headers[REPLAYED], undefined);
});

test('a refused login is not kept', async () => {
  const key = randomUUID();
  const logIn = (password) => send('POST', '/api/auth/login', key,
    { body: { username: 'later', password } });
  expect(await logIn(PASSWORD), 401);
  assert.deepEqual(service.sql(`SELECT 1 FROM idempotency_keys WHERE key = '${key}'`), []);
  await service.user('later');
  assert.equal(expect(await logIn(PASSWORD), 200).headers[REPLAYED], undefined);
});

test('a setup that was answered is answered again, and is no second one', async () => {
  const key = randomUUID();
  const setUp = (k) => send('POST', '/api/setup', k, { body: { username: 'first-admin', password: PASSWORD } });
  const first = await setUp(key);
  assert.equal(first.status, 400, 'there are users already');
  assertReplay(first, await setUp(key));
});

test('a changed password is not changed twice', async () => {
  await service.user('changer', { email: 'changer@example.com' });
  const login = expect(await service.call('POST', '/api/auth/login',
    { body: { username: 'changer', password: PASSWORD } }), 200);
  const key = randomUUID();
  const change = (cookie) => send('POST', '/api/auth/change-password', key,
    { cookie, body: { currentPassword: PASSWORD, newPassword: 'another horse battery' } });
  const first = expect(await change(`session=${login.cookies.session.value}`), 200);
  const again = await change(`session=${login.cookies.session.value}`);
  if (again.status !== 401) return assertReplay(first, again); // the change ended this login
  const anew = expect(await service.call('POST', '/api/auth/login',
    { body: { username: 'changer', password: 'another horse battery' } }), 200);
  assertReplay(first, await change(`session=${anew.cookies.session.value}`));
});

test('what happens is counted', async () => {
  const { text } = await service.call('GET', '/metrics');
  for (const outcome of ['executed', 'replayed', 'in_progress', 'mismatched'])
    assert.match(text, new RegExp(`binnacle_idempotent_requests_total\\{outcome="${outcome}"\\} [1-9]`));
});

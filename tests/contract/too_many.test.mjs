/// 429: whatever refuses a request for being one too many says how long to wait.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { expect, PASSWORD, repository, startService } from './harness.mjs';
import { hubHeaders } from './stripe.mjs';

// -- every class of limits, as the routes' table names them --------------------------------------

const ROUTE = /\{(get|post|put|patch|delete_|del), *"([^"]+)", *&(\w+), *who::\w+, *(\w+),/g;
const table = readFileSync(join(repository, 'http/routes/table.cpp'), 'utf8');
const limited = new Map(); // class: a route of it
const claimed = new Set(); // what is claimed again is the other surface's on a host of its own only
for (const [, verb, path, surface, limit] of table.matchAll(ROUTE)) {
  const again = claimed.has(`${verb} ${path}`);
  claimed.add(`${verb} ${path}`);
  if (limit !== 'none' && !again && !limited.has(limit))
    limited.set(limit, { method: verb.replace(/_$|^del$/, '').toUpperCase() || 'DELETE', surface,
      path: path.replace(/\{[^}]+\}/g, 'x') });
}
const OTHERS = ['platform_team_invite', 'login_failures', 'unknown_cookies', 'idempotency_keys'];

const AUTH0 = 'a secret of the action';
let service, token;
before(async () => {
  const classes = [...limited.keys(), ...OTHERS];
  service = await startService({ env: {
    ...Object.fromEntries(classes.map((name) => [`BINNACLE_LIMITS_${name.toUpperCase()}`, '1/1min'])),
    STRIPE_SECRET_KEY: 'sk_test_x', STRIPE_WEBHOOK_SECRET: 'whsec_x',
    AUTH0_ISSUER_BASE_URL: 'https://demo.eu.auth0.com', AUTH0_WEBHOOK_SECRET: AUTH0,
  } });
  token = await service.adminToken();
});
after(() => service?.stop());

/// Repeats a request, which must be refused once the limit of one is spent; the refusal.
async function spent(ask) {
  let answer;
  for (let i = 0; i < 3 && answer?.status !== 429; ++i) answer = await ask();
  expect(answer, 429);
  const wait = Number(answer.headers['retry-after']);
  assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, `Retry-After: ${answer.headers['retry-after']}`);
  assert.equal(answer.headers['x-ratelimit-limit'], '1');
  assert.equal(answer.headers['x-ratelimit-remaining'], '0');
  assert.equal(answer.headers['cache-control'], 'no-store');
  if (answer.json.retryAfter !== undefined) assert.equal(answer.json.retryAfter, wait);
  return answer;
}

test('the routes\' table is understood', () => {
  for (const name of ['hub_api', 'gateway_login', 'platform_default'])
    assert.ok(limited.has(name), name);
});

for (const [name, { method, path }] of limited)
  test(`${name}: ${method} ${path}`, async () => {
    const { headers, cookie } = hubHeaders(service);
    await spent(() => service.call(method, path,
      { token, cookie, headers: { ...headers, 'X-Auth0-Secret': AUTH0 },
        ...(method === 'GET' ? {} : { body: { email: 'eva@example.com' } }) }));
  });

// -- those of no route of their own ---------------------------------------------------------------------------

test('platform_team_invite: another invitation of the same owner', async () => {
  let n = 0;
  const other = await startService({ env: { BINNACLE_LIMITS_PLATFORM_TEAM_INVITE: '1/1min' } });
  try {
    const owner = await other.token('owner@example.com');
    await spent(() => other.call('POST', '/api/team/invite', { token: owner, body: { email: `guest${++n}@example.com` } }));
  } finally {
    await other.stop();
  }
});

test('login_failures: another wrong password for the same name', async () => {
  await service.user('ada');
  const other = await startService({ env: { BINNACLE_LIMITS_LOGIN_FAILURES: '1/1min' } });
  try {
    const guess = () => other.call('POST', '/api/auth/login', { body: { username: 'ada', password: `${PASSWORD}!` } });
    await spent(guess);
  } finally {
    await other.stop();
  }
});

test('unknown_cookies: another cookie that nobody has', async () => {
  let n = 0;
  await spent(() => service.call('GET', '/api/setup', { from: '127.0.0.77', cookie: `session=nobody-${++n}` }));
});

test('unknown_cookies are refused by routes without a limit of their own, too', async () => {
  let n = 0;
  const looked = () => service.call('GET', '/api/setup', { from: '127.0.0.79', cookie: `session=nobody-${++n}` });
  await spent(looked);
  // As openapi.yaml describes it: `call` compares.
  for (const path of ['/r2/none', '/r2-ai/ai-video/x/y', '/.well-known/jwks.json'])
    expect(await service.call('GET', path, { from: '127.0.0.79', cookie: 'session=nobody; session_id=nobody' }), 429);
});

test('idempotency_keys: another key within the life of the first', async () => {
  let n = 0;
  const answer = await spent(() => service.call('POST', '/api/auth/logout',
    { from: '127.0.0.78', body: {}, headers: { 'Idempotency-Key': `key-${++n}` } }));
  assert.match(answer.headers['ratelimit-policy'], /"idempotency-keys";q=1;w=60/);
});

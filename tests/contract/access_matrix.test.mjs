/// Every route × every kind of caller. A route of table.cpp that is not here fails the test, and so
/// does one whose access differs from what is written here.
import assert from 'node:assert/strict';
import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  HOUR, PASSWORD, base64url, expect, iso, jwt, repository, startCompany, startOfHour, subjectOf, until,
} from './harness.mjs';

const SECRET = 'cron-secret-of-the-matrix';
const pastHour = { from: iso(startOfHour() - HOUR), to: iso(startOfHour()), dryRun: true };

/// What one is answered whose access is good; bodies are such that nothing happens.
const MATRIX = {
  'GET /api/csrf': { access: 'anyone', good: 200 },
  'GET /api/dashboard/billing-summary': { access: 'user', good: 200, hub: true },
  'GET /api/dashboard/referral-summary': { access: 'user', good: 200, hub: true },
  'POST /api/dashboard/referral': { access: 'user', good: 400, body: {}, hub: true },
  'GET /api/dashboard/activity': { access: 'user', good: 200, hub: true },
  'GET /api/dashboard/projects': { access: 'user', good: 200, hub: true },
  'GET /api/dashboard/notifications': { access: 'user', good: 200, hub: true },
  'GET /api/dashboard/stats': { access: 'user', good: 200, hub: true },
  'GET /api/dashboard/quick-actions': { access: 'anyone', good: 200 },
  'GET /api/dashboard/recommendations': { access: 'user', good: 200, hub: true },
  'POST /api/dashboard/perform-action': { access: 'user', good: 400, body: {}, hub: true },
  'POST /api/billing/credits': { access: 'user', good: 400, body: {}, hub: true },
  'GET /api/billing/sync': { access: 'user', good: 302, hub: true },
  'POST /api/newsletter/subscribe': { access: 'stranger', good: 400, body: {}, hub: true },
  'GET /api/newsletter/confirm': { access: 'stranger', good: 400 },
  'POST /api/newsletter/unsubscribe': { access: 'stranger', good: 400, body: {}, hub: true },
  'POST /api/billing/session': { access: 'user', good: 400, body: {}, hub: true },

  'POST /api/user/avatar': { access: 'user', good: 400, body: {}, hub: true },
  'GET /r2/{path...}': { access: 'anyone', good: 404 },
  'GET /r2-ai/{path...}': { access: 'anyone', good: 404 },

  'GET /api/setup': { access: 'anyone', good: 200 },
  'POST /api/setup': { access: 'stranger', good: 400, body: {} },
  'POST /api/auth/login': { access: 'stranger', good: 400, body: {} },
  'POST /api/auth/logout': { access: 'anyone', good: 200, keepCookie: true },
  'GET /api/auth/me': { access: 'user', good: 200 },
  'POST /api/auth/change-password': { access: 'user', good: 400, body: {} },

  'GET /api/auth/login': { access: 'stranger', good: 501 }, // no provider is configured
  'GET /api/auth/signup': { access: 'stranger', good: 501 },
  'GET /api/auth/callback': { access: 'stranger', good: 501 },
  'GET /api/auth/logout': { access: 'stranger', good: 302, keepCookie: true },
  'POST /api/auth/validate-corporate': { access: 'stranger', good: 400, body: {} },
  'POST /api/webhooks/auth0': { access: 'auth0', good: 400, body: {} },
  'GET /api/user/corporate-info': { access: 'user', good: 200 },
  'GET /api/admin/users': { access: 'admin', good: 200 },
  'POST /api/admin/users': { access: 'admin', good: 400, body: {} },
  'DELETE /api/admin/users': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/audit': { access: 'admin', good: 200 },

  'GET /api/usage': { access: 'user', good: 200 },
  'GET /api/billing': { access: 'user', good: 200 },
  'POST /api/billing/payment-method': { access: 'user', good: 500 }, // Stripe is not configured
  'GET /api/billing/explain': { access: 'user', good: 400 },
  'GET /api/billing/explain/credits': { access: 'user', good: 200 },
  'GET /api/admin/billing/explain': { access: 'admin', good: 400 },
  'GET /api/admin/billing/explain/credits': { access: 'admin', good: 400 },
  'GET /api/admin/billing/reconciliation': { access: 'admin', good: 200 },
  'GET /api/pricing': { access: 'anyone', good: 200 },
  'GET /api/usage/collect-opencost': { access: 'cron', good: 200 },
  'POST /api/usage/collect-opencost': { access: 'cron', good: 200 },
  'GET /api/billing/sync-stripe': { access: 'cron', good: 500 },
  'POST /api/billing/sync-stripe': { access: 'cron', good: 500 },
  'GET /api/admin/usage/check-opencost': { access: 'admin', good: 200 },
  'GET /api/admin/usage/check-database': { access: 'admin', good: 200 },
  'POST /api/admin/usage/collect': { access: 'admin', good: 200, body: pastHour },
  'GET /api/admin/usage/{userId}': { access: 'admin', good: 200 },
  'GET /api/user/hopsworks-info': { access: 'user', good: 200 },
  'GET /api/cron/sync-projects': { access: 'cron', good: 200 },
  'POST /api/cron/sync-projects': { access: 'cron', good: 200 },
  'POST /api/admin/sync-username': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/project-roles': { access: 'admin', good: 400 },
  'POST /api/admin/project-roles': { access: 'admin', good: 400, body: {} },
  'PUT /api/admin/project-roles': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/clusters': { access: 'admin', good: 200 },
  'POST /api/admin/clusters': { access: 'admin', good: 400, body: {} },
  'PUT /api/admin/clusters': { access: 'admin', good: 400, body: {} },
  'POST /api/admin/clusters/update-kubeconfig': { access: 'admin', good: 400, body: {} },
  'POST /api/admin/test-opencost': { access: 'admin', good: 400, body: {} },
  'POST /api/admin/fix-missing-subscriptions': { access: 'admin', good: 200 },
  'GET /api/admin/billing': { access: 'admin', good: 200 },
  'POST /api/admin/billing': { access: 'admin', good: 400, body: {} },
  'GET /api/team/members': { access: 'user', good: 200 },
  'DELETE /api/team/members': { access: 'user', good: 400 },
  'PATCH /api/team/members': { access: 'user', good: 501, body: {} },
  'GET /api/team/invite': { access: 'user', good: 200 },
  'POST /api/team/invite': { access: 'user', good: 400, body: {} },
  'DELETE /api/team/invite': { access: 'user', good: 400 },
  'GET /api/team/accept-invite': { access: 'anyone', good: 400 },
  'POST /api/team/join': { access: 'user', good: 400, body: {} },
  'GET /api/admin/mail': { access: 'admin', good: 200 },
  'GET /api/admin/timers': { access: 'admin', good: 200 },
  'POST /api/webhooks/stripe': { access: 'signer', good: 500, body: {} },
  'POST /api/billing/stripe-webhook': { access: 'signer', good: 500, body: {} },
  'GET /api/admin/billing/events': { access: 'admin', good: 200 },
  'GET /api/admin/billing/events/{id}': { access: 'admin', good: 404 },
  'POST /api/admin/billing/events/{id}/replay': { access: 'admin', good: 404, body: {} },

  'GET /api/assinante/subscription': { access: 'user', good: 404, bearer: true }, // nobody here is registered
  'PUT /api/assinante/subscription': { access: 'user', good: 400, body: {}, hub: true, bearer: true },
  'GET /api/assinante/orders': { access: 'user', good: 404, bearer: true },
  'GET /api/assinante/invoices': { access: 'user', good: 404, bearer: true },
  'GET /api/assinante/invoices/{id}/pdf': { access: 'user', good: 404, bearer: true },
  'POST /api/assinante/register': { access: 'user', good: 400, body: {}, hub: true, bearer: true },
  'GET /api/admin/assinante/subscriptions': { access: 'admin', good: 200 },
  'POST /api/admin/assinante/subscriptions': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/assinante/subscriptions/{id}': { access: 'admin', good: 404 },
  'PUT /api/admin/assinante/subscriptions/{id}': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/assinante/orders': { access: 'admin', good: 200 },
  'POST /api/admin/assinante/orders': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/assinante/orders/{id}': { access: 'admin', good: 404 },
  'PUT /api/admin/assinante/orders/{id}': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/assinante/invoices': { access: 'admin', good: 200 },
  'POST /api/admin/assinante/invoices': { access: 'admin', good: 400, body: {} },
  'GET /api/admin/assinante/invoices/{id}': { access: 'admin', good: 404 },
  'PUT /api/admin/assinante/invoices/{id}': { access: 'admin', good: 400, body: {} },
  'GET /dashboard/projects/{projectId}/api-keys': { access: 'user', good: 404, bearer: true },
  'POST /dashboard/projects/{projectId}/api-keys': { access: 'user', good: 400, body: {}, bearer: true },
  'DELETE /dashboard/projects/{projectId}/api-keys/{keyId}': { access: 'user', good: 404, bearer: true },
  'POST /dashboard/projects/{projectId}/api-keys/{keyId}/rotate': { access: 'user', good: 404, body: {}, bearer: true },
  'POST /auth/verify-key': { access: 'signer', good: 400, body: {} },
  'POST /auth/login': { access: 'stranger', good: 400, body: {} },
  'POST /auth/refresh': { access: 'signer', good: 400, body: {} },
  'POST /auth/logout': { access: 'signer', good: 400, body: {} },

  'GET /dashboard/projects': { access: 'user', good: 200, bearer: true },
  'POST /dashboard/projects': { access: 'user', good: 400, body: {}, bearer: true },
  'GET /dashboard/projects/{projectId}': { access: 'user', good: 404, bearer: true },
  'PATCH /dashboard/projects/{projectId}': { access: 'user', good: 404, body: {}, bearer: true },
  'DELETE /dashboard/projects/{projectId}': { access: 'user', good: 404, bearer: true },
  'GET /dashboard/projects/{projectId}/users': { access: 'user', good: 404, bearer: true },
  'POST /dashboard/projects/{projectId}/users': { access: 'user', good: 400, body: {}, bearer: true },
  'PATCH /dashboard/projects/{projectId}/users/{userId}': { access: 'user', good: 400, body: {}, bearer: true },
  'DELETE /dashboard/projects/{projectId}/users/{userId}': { access: 'user', good: 404, bearer: true },

  'GET /api/events': { access: 'user', good: 200, endless: true },
  'GET /.well-known/jwks.json': { access: 'anyone', good: 200 },
  'GET /version': { access: 'anyone', good: 200 },
  'GET /healthz': { access: 'anyone', good: 200 },
  'GET /readyz': { access: 'anyone', good: 200 },
  'GET /metrics': { access: 'anyone', good: 200 },
  'GET /openapi.yaml': { access: 'anyone', good: 200 },
  'GET /openapi.json': { access: 'anyone', good: 200 },
  'GET /docs': { access: 'anyone', good: 200 },
  'GET /docs/page.css': { access: 'anyone', good: 200 },
  'GET /docs/page.js': { access: 'anyone', good: 200 },
  'GET /docs/description.js': { access: 'anyone', good: 200 },
  'GET /docs/request.js': { access: 'anyone', good: 200 },
};

/// Which status a caller of some kind meets at a route of some access; null: the route's `good`.
const RULES = {
  anyone: { nobody: null, user: null, admin: null, locked: null, cron: null },
  stranger: {},
  signer: {}, // what proves itself is in the body
  user: { nobody: 401, user: null, admin: null, locked: 403, cron: 401 },
  admin: { nobody: 401, user: 403, admin: null, locked: 403, cron: 401 },
  auth0: { nobody: 401, user: 401, admin: 401, locked: 401, cron: 401 }, // its secret is nobody's
  cron: { nobody: 401, user: 401, admin: 401, locked: 401, cron: null },
};

let company, service, bob;
const callers = {}; // name -> {kind, options}

before(async () => {
  company = await startCompany({
    env: { CRON_SECRET: SECRET, BINNACLE_RATE_LIMIT_SCALE: '1000',
      BINNACLE_COLLECTOR_BACKFILL_HOURS: '1' },
    standIn: ['--namespaces', 'analytics'],
  });
  ({ service } = company);
  bob = await service.token('bob@example.com');
  await service.project('bob@example.com', 'alpha', 'analytics');
  const carol = await service.token('carol@example.com');
  await service.learnKeys();
  const sub = subjectOf(bob), admin = subjectOf(company.admin);
  const now = Math.floor(Date.now() / 1000);
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const claims = { iss: 'binnacle', aud: 'binnacle', sub: admin, iat: now, nbf: now,
    exp: now + 600, typ: 'access', sv: 0 };
  const head = { typ: 'JWT', kid: service.kid };
  const add = (name, kind, token) => { callers[name] = { kind, options: token ? { token } : {} }; };

  add('a stranger', 'nobody');
  add('a user', 'user', bob);
  add('another user', 'user', carol);
  add('an admin', 'admin', company.admin);
  // The same key and claims as a good one, so that what is refused is refused for its one fault.
  add('a token made like a good one', 'admin', service.mint({ sub: admin }));
  add('an expired token', 'nobody', service.mint({ sub: admin, iat: now - 900, nbf: now - 900, exp: now - 120 }));
  add('a token for later', 'nobody', service.mint({ sub: admin, nbf: now + 300 }));
  add('a token without an end', 'nobody', service.mint({ sub: admin, exp: undefined }));
  add('a token of another issuer', 'nobody', service.mint({ sub: admin, iss: 'https://issuer.example' }));
  add('a token for another audience', 'nobody', service.mint({ sub: admin, aud: 'someone-else' }));
  add('a token that is not for access', 'nobody', service.mint({ sub: admin, typ: 'refresh' }));
  add('a token of an earlier session version', 'nobody', service.mint({ sub: admin, sv: -1 }));
  add('a token of nobody we know', 'nobody', service.mint({ sub: 'usr_unknown' }));
  add('a token without a subject', 'nobody', service.mint({ sub: undefined }));
  add('a token with an unknown kid', 'nobody', service.mint({ sub: admin }, { kid: 'unknown' }));
  add('a token without a kid', 'nobody', service.mint({ sub: admin }, { kid: undefined }));
  add('a token with a critical header', 'nobody', service.mint({ sub: admin }, { crit: ['x'], x: 1 }));
  add('a token with alg none', 'nobody', jwt({ ...head, alg: 'none' }, claims, () => ''));
  add('a token with alg None and a signature', 'nobody',
    `${base64url({ ...head, alg: 'None' })}.${company.admin.split('.').slice(1).join('.')}`);
  for (const [name, secret] of [['the public key', service.publicPem],
    ['the trimmed public key', service.publicPem.trim()]])
    add(`a token with HS256 and ${name}`, 'nobody', jwt({ ...head, alg: 'HS256' }, claims,
      (text) => createHmac('sha256', secret).update(text).digest()));
  add('a token signed by a stranger', 'nobody', jwt({ ...head, alg: 'RS256' }, claims,
    (text) => createSign('RSA-SHA256').update(text).sign(stranger)));
  add('a token with other claims than signed', 'nobody',
    [company.admin.split('.')[0], base64url({ ...claims, jti: 'x' }), company.admin.split('.')[2]].join('.'));
  add('a token without its signature', 'nobody', `${company.admin.split('.').slice(0, 2).join('.')}.`);
  add('words', 'nobody', 'let-me-in');
  callers['a Basic credential'] = { kind: 'nobody',
    options: { headers: { Authorization: `Basic ${Buffer.from('a:b').toString('base64')}` } } };

  const cookieOf = async (name, more) => {
    await service.user(name, more);
    const login = expect(await service.call('POST', '/api/auth/login',
      { body: { username: name, password: PASSWORD } }), 200);
    return `session=${login.cookies.session.value}`;
  };
  callers['a user\'s browser'] = { kind: 'user', options: { cookie: await cookieOf('dora') } };
  callers['an admin\'s browser'] = { kind: 'admin',
    options: { cookie: await cookieOf('root', { admin: true }) } };
  callers['a browser with a made-up session'] = { kind: 'nobody',
    options: { cookie: `session=${'A'.repeat(43)}` } };
  callers['a browser with a bad token beside its session'] = { kind: 'nobody',
    options: { cookie: callers['an admin\'s browser'].options.cookie, token: 'words' } };

  for (const status of ['suspended', 'deleted']) {
    const email = `${status}@example.com`;
    const token = await service.token(email, '--admin');
    service.changeUser(subjectOf(token), `status = '${status}'`);
    add(`a ${status} admin`, 'locked', token);
    await until('it is known', async () =>
      (await service.call('GET', '/api/auth/me', { token })).status === 403);
  }
  add('the cron job', 'cron', SECRET);
  assert.ok(sub !== subjectOf(carol));
});
after(() => company?.stop());

/// "GET /path" -> access, as table.cpp declares it.
function declared() {
  const text = readFileSync(join(repository, 'http/routes/table.cpp'), 'utf8');
  const routes = [...text.matchAll(/\{\s*(get|post|put|patch|delete_),\s*"([^"]+)",\s*&\w+,\s*who::(\w+)/g)]
    .map(([, verb, path, who]) => [`${verb.replace('_', '').toUpperCase()} ${path}`, who]);
  const direct = [...text.matchAll(/^\s*\{"([^"]+)",\s*\w+\},/gm)]
    .map(([, path]) => [`GET ${path}`, 'anyone']);
  const lines = text.split('\n').filter((line) => /^\s*\{.*"\//.test(line)).length;
  assert.equal(routes.length + direct.length, lines, 'every line of the table was understood');
  return Object.fromEntries([...routes, ...direct]);
}

test('the matrix has every route of the table, with the access declared there', () => {
  const expected = Object.fromEntries(Object.entries(MATRIX).map(([name, row]) => [name, row.access]));
  assert.deepEqual(expected, declared());
});

/// The hub wants a browser to prove itself before it looks at anything else.
const atHub = ({ kind, options }) => ({
  kind,
  options: {
    ...options,
    headers: { ...options.headers, Origin: service.url, 'X-CSRF-Token': 'csrf-1' },
    cookie: [options.cookie, 'csrf_token=csrf-1'].filter(Boolean).join('; '),
  },
});

/// The status of a stream, which has no end to wait for.
async function statusOf(path, { token, cookie, headers }) {
  const ending = new AbortController();
  const answer = await fetch(service.url + path, { signal: ending.signal, headers: {
    ...headers, ...(token && { Authorization: `Bearer ${token}` }), ...(cookie && { Cookie: cookie }) } });
  ending.abort();
  return { status: answer.status, text: '' };
}

for (const [name, { access, good, body, keepCookie, hub, bearer, endless }] of Object.entries(MATRIX)) {
  test(`${name} is for ${access}`, async () => {
    const [method, pattern] = name.split(' ');
    const path = pattern.replace('{userId}', subjectOf(bob));
    const wrong = [];
    for (const [who, caller] of Object.entries(callers)) {
      const { kind, options } = hub ? atHub(caller) : caller;
      if (keepCookie && options.cookie) continue; // it would end the session of the rows below
      const unknown = bearer && caller.options.cookie; // no cookie is a login there
      const wanted = RULES[access][unknown ? 'nobody' : kind] ?? good;
      const { status, text } = endless ? await statusOf(path, options)
        : await service.call(method, path, { ...options, body });
      if (status !== wanted) wrong.push(`${who}: ${status} instead of ${wanted}: ${text.slice(0, 120)}`);
      const head = method === 'GET' ? await service.call('HEAD', path, options) : null;
      if (head && head.status !== wanted) wrong.push(`${who}, HEAD: ${head.status} instead of ${wanted}`);
    }
    assert.deepEqual(wrong, []);
  });
}

test('everybody sees only himself', async () => {
  const ids = [];
  for (const { kind, options } of Object.values(callers)) {
    if (kind !== 'user') continue;
    ids.push(expect(await service.call('GET', '/api/auth/me', options), 200).json.id);
  }
  assert.equal(new Set(ids).size, ids.length);
});

test('a connection that changes its caller is asked again every time', async () => {
  for (let i = 0; i < 5; ++i)
    for (const [who, status] of [['an admin', 200], ['a user', 403], ['a stranger', 401],
      ['an expired token', 401], ['an admin\'s browser', 200], ['a suspended admin', 403]])
      expect(await service.call('GET', '/api/admin/clusters', callers[who].options), status);
});

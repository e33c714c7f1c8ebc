/// Logging in with a browser through an OpenID provider, against a certified one.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { goThrough, startProvider } from '../upstreams/lib/openid.mjs';
import { expect, freePort, startService, until } from './harness.mjs';

const SECRET = 'a secret: with/odd characters & 100%';
let service, provider, base, providerPort;

const client = () => ({
  client_id: 'dashboard',
  client_secret: SECRET,
  redirect_uris: [`${base}/api/auth/callback`],
  post_logout_redirect_uris: [`${base}/`, `${base}/goodbye`],
});
const listening = async () => startProvider({ port: providerPort, client: client(), claims: claimsOf });
const claims = {};
const claimsOf = (id) =>
  claims[id] ?? { email: `${id}@example.com`, email_verified: true, name: `Name of ${id}` };

before(async () => {
  const port = await freePort();
  providerPort = await freePort();
  base = `http://127.0.0.1:${port}`;
  service = await startService({ env: {
    BINNACLE_LISTEN: `127.0.0.1:${port}`,
    BINNACLE_RATE_LIMIT_SCALE: '1000',
    BINNACLE_IDENTITY_AUTH0_TIMEOUT: '1s',
    AUTH0_ISSUER_BASE_URL: `http://127.0.0.1:${providerPort}`,
    AUTH0_CLIENT_ID: 'dashboard',
    AUTH0_CLIENT_SECRET: SECRET,
    AUTH0_BASE_URL: base,
  } });
});
after(() => Promise.all([service?.stop(), provider?.close()]));

const login = (browser, query = '') => browser.call('GET', `/api/auth/login${query}`);
const paramsOf = (answer) => new URL(answer.headers.location).searchParams;

const atProvider = (location) => goThrough(location, base);

/// A login to its end; the browser's jar then has the session.
async function loggedIn(who, query = '') {
  const browser = service.browser();
  const begun = expect(await login(browser, `?login_hint=${who}${query}`), 302);
  const answer = expect(await browser.call('GET', await atProvider(begun.headers.location)), 302);
  return { browser, answer };
}
const usage = (browser) => browser.call('GET', '/api/usage');
const STALE = { error: 'This login was not begun in this browser, or is used or too old: log in again' };

// First of all, while nothing is known of the provider.
test('while the provider is down, a login says so; then it works', async () => {
  expect(await login(service.browser()), 503, { error: 'The login provider cannot be reached' });
  provider = await listening();
  expect(await login(service.browser()), 302);
});

test('a login is sent to the provider with state, nonce and the hash of a secret', async () => {
  const begun = expect(await login(service.browser(), '?login_hint=ada@example.com'), 302);
  assert.ok(begun.headers.location.startsWith(`${provider.issuer}/auth?`));
  assert.equal(begun.headers['cache-control'], 'no-store');
  const { state, nonce, code_challenge, ...rest } = Object.fromEntries(paramsOf(begun));
  assert.deepEqual(rest, { response_type: 'code', client_id: 'dashboard', scope: 'openid profile email',
    redirect_uri: `${base}/api/auth/callback`, code_challenge_method: 'S256',
    login_hint: 'ada@example.com' });
  for (const text of [state, nonce, code_challenge]) assert.match(text, /^[\w-]{43}$/);
  const { value, attributes } = begun.cookies.auth_verification;
  assert.deepEqual([...attributes].sort(), ['HttpOnly', 'Max-Age=600', 'Path=/', 'SameSite=Lax']);
  for (const text of [state, nonce]) assert.ok(!value.includes(text), 'it is sealed');
});

test('signing up asks for the form of new users', async () => {
  const answer = expect(await service.call('GET', '/api/auth/signup?login_hint=new@example.com'), 302);
  assert.equal(paramsOf(answer).get('screen_hint'), 'signup');
  const hinted = expect(await service.call('GET', '/api/auth/login?screen_hint=signup'), 302);
  assert.equal(paramsOf(hinted).get('screen_hint'), 'signup');
});

test('who comes back is a user of ours with a session', async () => {
  const { browser, answer } = await loggedIn('ada');
  assert.equal(answer.headers.location, `${base}/`);
  const { attributes } = answer.cookies.appSession;
  assert.deepEqual([...attributes].sort(), ['HttpOnly', 'Max-Age=604800', 'Path=/', 'SameSite=Lax']);
  assert.equal(answer.cookies.auth_verification.value, '');
  expect(await usage(browser), 200);
  assert.deepEqual(service.sql(`SELECT u.name, i.issuer, s.surface FROM users u
    JOIN identities i ON i.user_id = u.id JOIN sessions s ON s.user_id = u.id
    WHERE u.email = 'ada@example.com'`), [['Name of ada', `${provider.issuer}/`, 'platform']]);
  const digest = createHash('sha256').update(browser.jar.appSession).digest('hex');
  assert.equal(service.sql(
    `SELECT count(*) FROM sessions WHERE encode(digest, 'hex') = '${digest}'`)[0][0], '1');
});

test('the same person is the same user, with every login', async () => {
  await loggedIn('twice');
  await loggedIn('twice');
  assert.deepEqual(service.sql(`SELECT count(*), max(login_count) FROM users
    WHERE email = 'twice@example.com'`), [['1', '2']]);
});

test('an address links to its user only when it is verified', async () => {
  const known = await service.user('grace', { email: 'grace@example.com', admin: true });
  claims.impostor = { email: 'grace@example.com', email_verified: false };
  const { browser } = await loggedIn('impostor');
  expect(await browser.call('GET', '/api/admin/clusters'), 403);
  claims['the-real-one'] = { email: 'Grace@example.com', email_verified: true };
  const real = await loggedIn('the-real-one');
  expect(await real.browser.call('GET', '/api/admin/clusters'), 200);
  assert.deepEqual(service.sql(`SELECT subject FROM identities WHERE user_id = '${known}'`),
    [['the-real-one']]);
});

test('a suspended user is not let in', async () => {
  const { browser } = await loggedIn('eve');
  const [[id]] = service.sql(`SELECT id FROM users WHERE email = 'eve@example.com'`);
  service.changeUser(id, `status = 'suspended'`);
  const again = service.browser();
  const begun = expect(await login(again, '?login_hint=eve'), 302);
  expect(await again.call('GET', await atProvider(begun.headers.location)), 403,
    { error: 'Account is suspended' });
  assert.equal(again.jar.appSession, undefined);
  await until('the old session is locked too', async () => (await usage(browser)).status === 403);
});

// -- claims that are kept out of the ID token -----------------------------------------------------

/// A provider that has them at its userinfo endpoint only (OpenID Connect Core §5.4), as most do.
test('who the ID token does not say, the userinfo endpoint does', async () => {
  provider.conforms(true);
  try {
    provider.seen.length = 0;
    const { browser } = await loggedIn('kept-back');
    expect(await usage(browser), 200);
    assert.ok(provider.seen.includes('GET /me'), provider.seen.join());
    assert.deepEqual(service.sql(`SELECT name FROM users WHERE email = 'kept-back@example.com'`), [['Name of kept-back']]);

    const known = await service.user('henry', { email: 'henry@example.com' });
    claims['not-henry'] = { email: 'henry@example.com', email_verified: false };
    await loggedIn('not-henry');
    claims['real-henry'] = { email: 'henry@example.com', email_verified: true };
    await loggedIn('real-henry');
    assert.deepEqual(service.sql(`SELECT subject FROM identities WHERE user_id = '${known}'`), [['real-henry']]);
  } finally {
    provider.conforms(false);
  }
});

test('an ID token that says it all is enough', async () => {
  provider.seen.length = 0;
  await loggedIn('outspoken');
  assert.ok(!provider.seen.includes('GET /me'));
});

test('userinfo of somebody else is refused', async () => {
  provider.conforms(true);
  try {
    for (const body of [{ sub: 'victim', email: 'victim@example.com', email_verified: true },
      { email: 'victim@example.com', email_verified: true }]) {
      const { browser, path } = await begun();
      answerUserinfo((response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body)));
      expect(await browser.call('GET', path), 401, { error: 'The login was refused' });
      assert.deepEqual(service.sql(`SELECT count(*) FROM users WHERE email = 'victim@example.com'`), [['0']]);
    }
  } finally {
    provider.before = null;
    provider.conforms(false);
  }
});

const answerUserinfo = (answer) => {
  provider.before = (request, response) => {
    if (request.url !== '/me') return false;
    answer(response);
    return true;
  };
};

for (const [what, answer] of [
  ['hangs', () => {}],
  ['fails', (response) => response.writeHead(500).end('oops')],
  ['resets the connection', (response) => response.destroy()],
  ['answers nonsense', (response) => response.end('<html>')],
  ['rejects the access token', (response) => response.writeHead(401).end('{"error":"invalid_token"}')],
]) {
  test(`a userinfo endpoint that ${what} is 503: nobody becomes a user without an email by it`, async () => {
    provider.conforms(true);
    const users = () => service.sql('SELECT count(*) FROM users')[0][0];
    try {
      const { browser, path } = await begun();
      answerUserinfo(answer);
      const before = users();
      expect(await browser.call('GET', path), 503, DOWN);
      assert.equal(users(), before);
    } finally {
      provider.before = null;
      provider.conforms(false);
    }
  });
}

// -- returning ------------------------------------------------------------------------------------

test('a login returns to the page it came from', async () => {
  const { answer } = await loggedIn('back', `&returnTo=${encodeURIComponent('/team/joining?token=a b#x')}`);
  assert.equal(answer.headers.location, `${base}/team/joining?token=a%20b#x`);
});

for (const evil of ['https://evil.example/', '//evil.example', '/\\evil.example', '/\t/evil.example',
  'javascript:alert(1)', '/%0d%0aSet-Cookie:x=y\r\nSet-Cookie: a=b', `/${'x'.repeat(600)}`]) {
  test(`a login does not return to ${JSON.stringify(evil).slice(0, 40)}`, async () => {
    const { answer } = await loggedIn('back', `&returnTo=${encodeURIComponent(evil)}`);
    assert.equal(answer.headers.location, `${base}/`);
  });
}

// -- what is refused ------------------------------------------------------------------------------

/// A login up to the callback, with the authorization request changed on its way.
async function begun(change = () => {}) {
  const browser = service.browser();
  const answer = expect(await login(browser, '?login_hint=mallory'), 302);
  const url = new URL(answer.headers.location);
  change(url.searchParams);
  return { browser, path: await atProvider(url.href) };
}
const sessions = () => service.sql('SELECT count(*) FROM sessions')[0][0];

test('another state is refused', async () => {
  const { browser, path } = await begun();
  const before = sessions();
  for (const state of ['x'.repeat(43), ''])
    expect(await browser.call('GET', path.replace(/state=[^&]*/, `state=${state}`)), 400, STALE);
  expect(await browser.call('GET', path.replace(/&?state=[^&]*/, '')), 400, STALE);
  assert.equal(sessions(), before);
  expect(await browser.call('GET', path), 302); // it was not used up by that
});

test('a login in a browser ends the one before', async () => {
  const { browser } = await loggedIn('anew');
  const before = browser.jar.appSession;
  const begun = expect(await login(browser, '?login_hint=anew'), 302);
  expect(await browser.call('GET', await atProvider(begun.headers.location)), 302);
  expect(await usage(browser), 200);
  expect(await service.call('GET', '/api/usage', { cookie: `appSession=${before}` }), 401);
});

test('a callback in another browser is refused', async () => {
  const { browser, path } = await begun();
  expect(await service.call('GET', path), 400, STALE);
  const other = service.browser();
  expect(await login(other, '?login_hint=victim'), 302);
  expect(await other.call('GET', path), 400, STALE);
  expect(await browser.call('GET', path), 302);
});

test('a callback is good once, and its replay does not reach the provider', async () => {
  const { browser, path } = await begun();
  const { cookie } = browser;
  expect(await browser.call('GET', path), 302);
  provider.seen.length = 0;
  expect(await service.call('GET', path, { cookie }), 400, STALE);
  assert.deepEqual(provider.seen, []);
});

test('of several callbacks at once one logs in', async () => {
  const { browser, path } = await begun();
  const { cookie } = browser;
  const answers = await Promise.all(Array.from({ length: 6 }, () => service.call('GET', path, { cookie })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [302, 400, 400, 400, 400, 400]);
});

test('a cookie that was changed, or made elsewhere, is refused', async () => {
  const { browser, path } = await begun();
  const sealed = browser.jar.auth_verification;
  for (const value of ['words', `${sealed.slice(0, -6)}AAAAA=`, sealed.slice(0, 40)])
    expect(await service.call('GET', path, { cookie: `auth_verification=${value}` }), 400, STALE);
});

test('an ID token with another nonce is refused', async () => {
  const { browser, path } = await begun((params) => params.set('nonce', 'of-another-login'));
  const before = sessions();
  expect(await browser.call('GET', path), 401, { error: 'The login was refused' });
  assert.equal(sessions(), before);
});

test('a code that somebody else asked for is refused by the provider', async () => {
  const challenge = createHash('sha256').update('x'.repeat(43)).digest('base64url');
  const { browser, path } = await begun((params) => params.set('code_challenge', challenge));
  expect(await browser.call('GET', path), 401, { error: 'The login was refused' });
  const second = await begun();
  expect(await second.browser.call('GET', second.path.replace(/code=[^&]*/, 'code=made-up')), 401,
    { error: 'The login was refused' });
});

test('what the provider refuses is not completed', async () => {
  const browser = service.browser();
  const answer = expect(await login(browser), 302); // no hint: our provider's user says no
  const path = await atProvider(answer.headers.location);
  assert.match(path, /error=access_denied/);
  expect(await browser.call('GET', path), 401, { error: 'The login was not completed' });
});

test('a callback without a code is refused', async () => {
  const { browser, path } = await begun();
  expect(await browser.call('GET', path.replace(/code=[^&]*/, '')), 400,
    { error: 'code is missing', details: 'code' });
});

// -- a provider in trouble ------------------------------------------------------------------------

const DOWN = { error: 'The login provider cannot be reached' };
for (const [what, answer] of [
  ['hangs', () => {}],
  ['fails', (response) => response.writeHead(500).end('oops')],
  ['resets the connection', (response) => response.destroy()],
  ['answers nonsense', (response) => response.end('<html>')],
  ['rejects our secret', (response) => response.writeHead(401).end('{"error":"invalid_client"}')],
  ['gives no ID token', (response) => response.end('{"access_token":"x","token_type":"bearer"}')],
]) {
  test(`a token endpoint that ${what} is 503, and the login begins anew`, async () => {
    const { browser, path } = await begun();
    provider.before = (request, response) => {
      if (request.url !== '/token') return false;
      answer(response);
      return true;
    };
    provider.seen.length = 0;
    const said = expect(await browser.call('GET', path), 503, DOWN);
    assert.ok(Number(said.headers['retry-after']) >= 1);
    // libcurl itself sends again what a kept connection was closed on before a byte came back.
    const sent = provider.seen.filter((line) => line === 'POST /token').length;
    assert.ok(sent === 1 || what.startsWith('resets'), `the code was sent ${sent} times`);
    provider.before = null;
    expect(await browser.call('GET', path), 400, STALE);
    await loggedIn('patient');
  });
}

// -- logging out ----------------------------------------------------------------------------------

test('a logout ends the session, here and at the provider', async () => {
  const { browser } = await loggedIn('leaving');
  const { cookie } = browser;
  const answer = expect(await browser.call('GET', '/api/auth/logout?returnTo=/goodbye'), 302);
  const url = new URL(answer.headers.location);
  assert.equal(url.origin + url.pathname, `${provider.issuer}/session/end`);
  assert.deepEqual(Object.fromEntries(url.searchParams),
    { client_id: 'dashboard', post_logout_redirect_uri: `${base}/goodbye` });
  assert.equal(browser.jar.appSession, undefined);
  expect(await service.call('GET', '/api/usage', { cookie }), 401);
  assert.ok((await fetch(url, { redirect: 'manual' })).status < 400);
});

test('a logout ends every login that the browser holds', async () => {
  const { browser } = await loggedIn('twofold');
  await service.user('twofold-local');
  expect(await browser.call('POST', '/api/auth/login',
    { body: { username: 'twofold-local', password: 'correct horse battery' } }), 200);
  const { cookie } = browser;
  expect(await service.call('GET', '/api/auth/me', { cookie }), 200);
  expect(await browser.call('GET', '/api/auth/logout'), 302);
  assert.deepEqual([browser.jar.appSession, browser.jar.session], [undefined, undefined]);
  expect(await service.call('GET', '/api/usage', { cookie }), 401);
  expect(await service.call('GET', '/api/auth/me', { cookie }), 401);
});

test('a look with HEAD neither uses a login up nor ends one', async () => {
  const { browser } = await loggedIn('looker');
  const before = service.sql('SELECT count(*) FROM sessions');
  assert.equal((await browser.call('HEAD', '/api/auth/callback?code=x&state=y')).status, 204);
  assert.equal((await service.call('HEAD', '/api/auth/logout', { cookie: browser.cookie })).status, 302);
  assert.deepEqual(service.sql('SELECT count(*) FROM sessions'), before);
  expect(await usage(browser), 200);
});

test('whoever is not logged in may log out', async () => {
  expect(await service.call('GET', '/api/auth/logout?returnTo=//evil.example'), 302);
});

test('local logins beside it keep their routes and are not the platform\'s', async () => {
  await service.user('local');
  const browser = service.browser();
  expect(await browser.call('POST', '/api/auth/login',
    { body: { username: 'local', password: 'correct horse battery' } }), 200);
  expect(await browser.call('GET', '/api/auth/me'), 200);
  expect(await usage(browser), 401);
  expect(await browser.call('POST', '/api/auth/logout'), 200, { success: true });
});

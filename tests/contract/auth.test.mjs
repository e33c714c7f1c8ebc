import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, startService, until } from './harness.mjs';

let service, ada;
before(async () => {
  service = await startService();
  ada = await service.user('ada', { email: 'ada@example.com', admin: true });
  for (const name of ['timed', 'limited', 'guessed', 'hunted']) await service.user(name);
});
after(() => service?.stop());

let addresses = 0;
/// An address nobody has called from yet: its windows are empty.
const somewhere = () => `127.2.${addresses >> 7}.${(addresses++ & 127) + 1}`;

const logIn = (username = 'ada', password = PASSWORD, from = somewhere()) =>
  service.call('POST', '/api/auth/login', { body: { username, password }, from });
const structured = (code, message, details) =>
  ({ error: { code, message, ...(details ? { details } : {}) } });

async function loggedIn(username, password) {
  const browser = service.browser({ from: somewhere() });
  expect(await browser.call('POST', '/api/auth/login',
    { body: { username, password: password ?? PASSWORD } }), 200);
  return browser;
}

// -- login ------------------------------------------------------------------------------------------

test('a login answers who one is and sets the session cookie', async () => {
  const answer = expect(await logIn(), 200,
    { success: true, user: { id: ada, username: 'ada' } });
  const { value, attributes } = answer.cookies.session;
  assert.ok(value.length >= 43, 'at least 256 random bits');
  assert.deepEqual([...attributes].sort(), ['HttpOnly', 'Max-Age=604800', 'Path=/', 'SameSite=Lax']);
  assert.equal(answer.headers['cache-control'], 'no-store');
});

test('the database knows only the hash of a session', async () => {
  const { value } = (await logIn()).cookies.session;
  const digest = createHash('sha256').update(value).digest('hex');
  assert.equal(service.sql(
    `SELECT count(*) FROM sessions WHERE encode(digest, 'hex') = '${digest}'`)[0][0], '1');
});

test('a login names the fields that are missing', async () => {
  const from = somewhere();
  const post = (body) => service.call('POST', '/api/auth/login', { body, from });
  expect(await post({}), 400, structured('VALIDATION_MISSING_FIELDS',
    'Missing required fields: username, password', { fields: ['username', 'password'] }));
  expect(await post({ username: 'ada' }), 400, structured('VALIDATION_MISSING_FIELDS',
    'Missing required fields: password', { fields: ['password'] }));
  assert.equal(expect(await post({ username: 'ada', password: 12345678 }), 400).json.error.code,
    'VALIDATION_INVALID_FORMAT');
  assert.equal(expect(await post('{'), 400).json.error.code, 'VALIDATION_ERROR');
});

for (const [what, username, password] of [
  ['a wrong password', 'ada', 'wrong horse battery'],
  ['an unknown user', 'nobody', PASSWORD],
  ['a password that is too short for any account', 'ada', 'x'],
  ['a password that is too long for any account', 'ada', 'x'.repeat(73)],
  ['a user name with characters no user name has', "ada'; --", PASSWORD],
  ['a user name that is too short', 'a', PASSWORD],
  ['a user name in other case', 'ADA', PASSWORD],
]) {
  test(`${what} is answered 401 and nothing more`, async () => {
    const answer = expect(await logIn(username, password), 401,
      structured('AUTH_FAILED', 'Invalid credentials'));
    assert.equal(answer.headers['set-cookie'], undefined);
  });
}

/// What a login costs, and so how long it takes: the hashes that were computed for it.
async function hashesOf(login) {
  const count = async () => Number(/^binnacle_password_hashes_total\{algorithm="argon2id"\} (\d+)/m
    .exec((await service.call('GET', '/metrics')).text)[1]);
  const before = await count();
  expect(await login(), 401);
  return await count() - before;
}
test('an unknown user costs as much work as a wrong password', async () => {
  for (const name of ['timed', 'nobody', "not a name'"])
    assert.equal(await hashesOf(() => logIn(name, 'wrong horse battery')), 1, name);
});

test('the eleventh login within a quarter of an hour is limited, right or wrong', async () => {
  const from = somewhere();
  for (let i = 0; i < 10; ++i)
    expect(await logIn('limited', i % 2 ? PASSWORD : 'wrong horse battery', from), i % 2 ? 200 : 401);
  const limited = expect(await logIn('limited', PASSWORD, from), 429,
    structured('RATE_LIMIT_EXCEEDED', 'Too many login attempts. Try again later.'));
  const wait = Number(limited.headers['retry-after']);
  assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 900);
  assert.equal(limited.headers['x-ratelimit-limit'], '10');
  assert.equal(limited.headers['x-ratelimit-remaining'], '0');
  expect(await logIn(), 200); // from elsewhere
});

test('the limit of logins does not ask whether somebody is logged in', async () => {
  const from = somewhere();
  for (let i = 0; i < 10; ++i)
    expect(await service.call('POST', '/api/auth/login', { body: {}, from }), 400);
  expect(await service.call('POST', '/api/auth/login', { body: {}, from }), 429);
});

test('no session of one\'s own buys more guesses at another account', async () => {
  const from = somewhere();
  const browser = service.browser({ from });
  expect(await browser.call('POST', '/api/auth/login', { body: { username: 'guessed', password: PASSWORD } }), 200);
  const guess = () => browser.call('POST', '/api/auth/login', { body: { username: 'guessed', password: 'a wrong guess' } });
  for (let i = 0; i < 9; ++i) expect(await guess(), 401);
  expect(await guess(), 429);
});

test('ten failed logins with a name are enough for a quarter of an hour, wherever they come from', async () => {
  for (let i = 0; i < 3; ++i) expect(await logIn('hunted'), 200); // these do not count
  const answers = {};
  for (const name of ['hunted', 'nobody-at-all']) {
    const guesses = await Promise.all(Array.from({ length: 14 }, () => logIn(name, 'wrong horse battery')));
    assert.deepEqual(guesses.map((a) => a.status).sort(), [...Array(10).fill(401), ...Array(4).fill(429)]);
    const limited = expect(await logIn(name), 429,
      structured('RATE_LIMIT_EXCEEDED', 'Too many login attempts. Try again later.'));
    const wait = Number(limited.headers['retry-after']);
    assert.ok(wait > 800 && wait <= 900, `${wait} s`);
    assert.equal(limited.headers['x-ratelimit-limit'], '10');
    answers[name] = Object.keys(limited.headers).sort();
  }
  assert.deepEqual(answers.hunted, answers['nobody-at-all'], 'nothing tells whether somebody has the name');
  expect(await logIn('ada'), 200); // nobody else is concerned
  assert.match((await service.call('GET', '/metrics')).text,
    /^binnacle_rate_limited_total\{class="login_failures"\} 10$/m);
});

test('no other site logs anybody in', async () => {
  const answer = await service.call('POST', '/api/auth/login',
    { body: { username: 'ada', password: PASSWORD }, headers: { origin: 'http://evil.example' }, from: somewhere() });
  assert.equal(answer.status, 403);
  assert.equal(answer.cookies.session, undefined);
});

test('a hash imported from bcrypt is accepted and replaced by argon2id', async () => {
  const id = await service.user('imported');
  const hash = '$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW'; // abc123xyz
  service.changeUser(id, `password_hash = '${hash}'`);
  expect(await logIn('imported', 'abc123xyy'), 401);
  expect(await logIn('imported', 'abc123xyz'), 200);
  assert.match(service.sql(`SELECT password_hash FROM users WHERE id = '${id}'`)[0][0],
    /^\$argon2id\$/);
  expect(await logIn('imported', 'abc123xyz'), 200);
});

for (const [status, message] of [
  ['suspended', 'Account is suspended'], ['deleted', 'Account has been deleted'],
]) {
  test(`a ${status} user is locked out at once, with every credential`, async () => {
    const id = await service.user(`${status}-user`, { email: `${status}@example.com` });
    const token = await service.token(`${status}@example.com`);
    const browser = await loggedIn(`${status}-user`);
    expect(await browser.call('GET', '/api/auth/me'), 200);
    expect(await service.call('GET', '/api/auth/me', { token }), 200);

    service.changeUser(id, `status = '${status}'`);
    await until('the session knows', async () =>
      (await browser.call('GET', '/api/auth/me')).status === 403);
    expect(await browser.call('GET', '/api/auth/me'), 403, { error: message });
    expect(await service.call('GET', '/api/auth/me', { token }), 403, { error: message });
    expect(await service.call('GET', '/api/usage', { token }), 403, { error: message });
    assert.equal(expect(await logIn(`${status}-user`), 403).json.error.message, message);
    expect(await logIn(`${status}-user`, 'wrong horse battery'), 401); // and tells nobody else
  });
}

// -- the hub ----------------------------------------------------------------------------------------

const SUMMARY = '/api/dashboard/billing-summary';

test('who has logged in at the gateway is logged in at the hub, over plain HTTP', async () => {
  const browser = await loggedIn('ada');
  expect(await browser.call('GET', SUMMARY), 200);
  const { csrfToken } = expect(await browser.call('GET', '/api/csrf'), 200).json;
  const write = { body: {}, headers: { Origin: service.url, 'X-CSRF-Token': csrfToken } };
  expect(await browser.call('POST', '/api/billing/credits', write), 400); // the body is none
  expect(await browser.call('POST', '/api/auth/logout'), 200);
  expect(await browser.call('GET', SUMMARY), 401);
});

test('the hub looks for __Host-session, then for session_id, then for session', async () => {
  const { value } = (await logIn()).cookies.session;
  const of = (cookie) => service.call('GET', SUMMARY, { cookie, from: somewhere() });
  for (const name of ['__Host-session', 'session_id', 'session']) {
    expect(await of(`${name}=${value}`), 200);
    expect(await of(`${name}=`), 401);
  }
  expect(await of(`session=other; __Host-session=${value}`), 200);
  expect(await of(`session=${value}; session_id=other`), 401);
  expect(await of(`session_id=; session=${value}`), 200);
  expect(await service.call('GET', '/api/auth/me', { cookie: `session_id=${value}` }), 401);
});

// -- me ---------------------------------------------------------------------------------------------

test('one sees who one is, by cookie and by token', async () => {
  const browser = await loggedIn('ada');
  const me = expect(await browser.call('GET', '/api/auth/me'), 200).json;
  assert.deepEqual(Object.keys(me), ['id', 'username', 'isAdmin', 'createdAt']);
  assert.deepEqual([me.id, me.username, me.isAdmin], [ada, 'ada', true]);
  assert.match(me.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const token = await service.token('ada@example.com');
  expect(await service.call('GET', '/api/auth/me', { token }), 200, me);
});

test('without a credential, or with one that is none, one is nobody', async () => {
  for (const options of [{}, { token: 'nonsense' }, { cookie: 'session=nonsense' },
    { headers: { Authorization: 'Basic YWRhOmFkYQ==' } }, { cookie: 'session=' }])
    expect(await service.call('GET', '/api/auth/me', options), 401, { error: 'Unauthorized' });
});

test('an admin right that is taken away is gone at once', async () => {
  const id = await service.user('former', { email: 'former@example.com', admin: true });
  const token = await service.token('former@example.com');
  expect(await service.call('GET', '/api/admin/clusters', { token }), 200);
  service.changeUser(id, 'is_admin = false');
  await until('the session knows', async () =>
    (await service.call('GET', '/api/admin/clusters', { token })).status === 403);
  assert.equal((await service.call('GET', '/api/auth/me', { token })).json.isAdmin, false);
});

test('a session ends when its time is over', async () => {
  const browser = await loggedIn('ada');
  const digest = createHash('sha256').update(browser.jar.session).digest('hex');
  service.sql(`UPDATE sessions SET expires_at = now() - interval '1 second'
    WHERE encode(digest, 'hex') = '${digest}'`);
  service.announce(`identity:${ada}`);
  await until('the session is over', async () =>
    (await browser.call('GET', '/api/auth/me')).status === 401);
});

// -- logout -----------------------------------------------------------------------------------------

test('logging out ends the session and clears the cookie', async () => {
  const browser = await loggedIn('ada');
  const other = await loggedIn('ada');
  const { cookie } = browser;
  const answer = expect(await browser.call('POST', '/api/auth/logout'), 200, { success: true });
  assert.equal(answer.cookies.session.value, '');
  assert.ok(answer.cookies.session.attributes.includes('Max-Age=0'));
  expect(await service.call('GET', '/api/auth/me', { cookie }), 401); // a stolen copy is worthless
  expect(await other.call('GET', '/api/auth/me'), 200);
});

test('logging out without a session is no mistake', async () => {
  const answer = expect(await service.call('POST', '/api/auth/logout'), 200, { success: true });
  assert.equal(answer.cookies.session.value, '');
  expect(await service.call('POST', '/api/auth/logout', { cookie: 'session=stale' }), 200);
});

test('no other site logs anybody out', async () => {
  const browser = await loggedIn('ada');
  for (const origin of ['https://evil.example', 'null', 'not an origin', `${service.url}0`])
    expect(await browser.call('POST', '/api/auth/logout', { headers: { Origin: origin } }), 403,
      { error: 'Forbidden' });
  expect(await browser.call('GET', '/api/auth/me'), 200);
  expect(await browser.call('POST', '/api/auth/logout', { headers: { Origin: service.url } }), 200);
});

// -- change-password --------------------------------------------------------------------------------

const change = (client, body, options) =>
  client.call('POST', '/api/auth/change-password', { body, ...options });

test('changing the password ends every session and token, the own one too', async () => {
  await service.user('bob', { email: 'bob@example.com' });
  const token = await service.token('bob@example.com');
  const [first, second] = [await loggedIn('bob'), await loggedIn('bob')];
  const answer = expect(await change(first,
    { currentPassword: PASSWORD, newPassword: 'another fine password' }), 200,
  { data: { success: true } });
  assert.equal(answer.headers['set-cookie'], undefined);
  expect(await first.call('GET', '/api/auth/me'), 401);
  expect(await second.call('GET', '/api/auth/me'), 401);
  expect(await service.call('GET', '/api/auth/me', { token }), 401);
  expect(await logIn('bob', PASSWORD), 401);
  expect(await logIn('bob', 'another fine password'), 200);
  assert.equal(service.sql(`SELECT count(*) FROM audit_log a JOIN users u ON u.id = a.actor
    WHERE action = 'PASSWORD_CHANGED' AND username = 'bob'`)[0][0], '1');
});

test('changing the password says what is wrong, in the order of the checks', async () => {
  await service.user('carol');
  const browser = await loggedIn('carol');
  expect(await change(service, {}, { from: somewhere() }), 401,
    structured('AUTH_UNAUTHORIZED', 'Unauthorized'));
  expect(await change(browser, {}, { headers: { Origin: 'https://evil.example' } }), 403,
    { error: 'Forbidden' });
  expect(await change(browser, { currentPassword: PASSWORD }), 400,
    structured('VALIDATION_MISSING_FIELDS', 'Missing required fields: newPassword',
      { fields: ['newPassword'] }));
  assert.equal(expect(await change(browser, { currentPassword: 1, newPassword: PASSWORD }), 400)
    .json.error.code,
    'VALIDATION_INVALID_FORMAT');
  assert.equal(expect(await change(browser, { currentPassword: 'wrong', newPassword: 'short' }), 400)
    .json.error.code,
    'VALIDATION_INVALID_FORMAT');

  await service.user('dave');
  const dave = await loggedIn('dave');
  expect(await change(dave, { currentPassword: 'wrong horse', newPassword: PASSWORD }), 401,
    structured('AUTH_FAILED', 'Invalid current password'));
  const same = expect(await change(dave,
    { currentPassword: PASSWORD, newPassword: PASSWORD }), 400).json.error;
  assert.equal(same.code, 'VALIDATION_ERROR');
  assert.equal(expect(await change(dave, { currentPassword: PASSWORD, newPassword: 'x'.repeat(73) }),
    400).json.error.code, 'VALIDATION_INVALID_FORMAT');
  expect(await dave.call('GET', '/api/auth/me'), 200); // nothing has happened
});

test('the sixth change within a quarter of an hour is limited before anything else', async () => {
  await service.user('erin');
  const browser = await loggedIn('erin');
  for (let i = 0; i < 5; ++i)
    expect(await change(browser, {}, { headers: { Origin: 'https://evil.example' } }), 403);
  const limited = expect(await change(browser, {}), 429);
  assert.equal(limited.json.error.code, 'RATE_LIMIT_EXCEEDED');
  assert.ok(Number(limited.headers['retry-after']) >= 1);

  const from = somewhere();
  for (let i = 0; i < 5; ++i) expect(await change(service, {}, { from }), 401);
  expect(await change(service, {}, { from }), 429);
});

test('of cookies that nobody has, an address brings sixty a minute and no more', async () => {
  const from = somewhere();
  const me = (cookie, address = from) =>
    service.call('GET', '/api/auth/me', { headers: { cookie: `session=${cookie}` }, from: address });
  for (let i = 0; i < 3; ++i) expect(await me('always the same'), 401); // counts once
  for (let i = 1; i < 60; ++i) expect(await me(`made up ${i}`), 401);
  const limited = expect(await me('one too many'), 429);
  const wait = Number(limited.headers['retry-after']);
  assert.ok(wait >= 1 && wait <= 60, `${wait} s`);
  expect(await me('always the same'), 401); // costs nothing
  const { value } = (await logIn()).cookies.session;
  expect(await me(value, somewhere()), 200);
});

test('a budget of logins is not handed out anew by a restart', async () => {
  const from = somewhere();
  for (let i = 0; i < 10; ++i) expect(await logIn(`guess-${i}`, 'wrong horse battery', from), 401);
  const { directory } = service;
  assert.equal((await service.stop()).code, 0);
  service = await startService({ directory });
  expect(await logIn('ada', PASSWORD, from), 429);
  expect(await logIn(), 200);
});

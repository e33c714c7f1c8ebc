import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, startService } from './harness.mjs';

let service;
before(async () => { service = await startService(); });
after(() => service?.stop());

const setUp = (body, options) => service.call('POST', '/api/setup', { body, ...options });
const refusal = (code, message, details) =>
  ({ error: { code, message, ...(details ? { details } : {}) } });

test('a fresh installation asks for its first admin', async () => {
  const answer = expect(await service.call('GET', '/api/setup'), 200,
    { data: { setupRequired: true } });
  assert.equal(answer.headers['cache-control'], 'no-store');
});

test('a login before setup is refused like any other unknown user', async () => {
  expect(await service.call('POST', '/api/auth/login',
    { body: { username: 'nobody', password: PASSWORD }, from: '127.0.1.1' }), 401,
  refusal('AUTH_FAILED', 'Invalid credentials'));
});

test('setup names the fields that are missing', async () => {
  expect(await setUp({}, { from: '127.0.2.1' }), 400,
    refusal('VALIDATION_MISSING_FIELDS', 'Missing required fields: username, password',
      { fields: ['username', 'password'] }));
  expect(await setUp({ username: 'admin', password: '' }, { from: '127.0.2.1' }), 400,
    refusal('VALIDATION_MISSING_FIELDS', 'Missing required fields: password',
      { fields: ['password'] }));
  expect(await setUp({ username: null, password: PASSWORD }, { from: '127.0.2.1' }), 400,
    refusal('VALIDATION_MISSING_FIELDS', 'Missing required fields: username',
      { fields: ['username'] }));
});

const wrong = [
  ['a user name that is no text', { username: 7, password: PASSWORD }, 'username'],
  ['a password that is no text', { username: 'admin', password: ['x'] }, 'password'],
  ['a user name of two letters', { username: 'ab', password: PASSWORD }, 'username'],
  ['a user name of 51 letters', { username: 'a'.repeat(51), password: PASSWORD }, 'username'],
  ['a user name with a space', { username: 'ad min', password: PASSWORD }, 'username'],
  ['a user name with an umlaut', { username: 'müller', password: PASSWORD }, 'username'],
  ['a password of 7 bytes', { username: 'admin', password: '1234567' }, 'password'],
  ['a password of 73 bytes', { username: 'admin', password: 'x'.repeat(73) }, 'password'],
  ['a password of 37 two-byte letters', { username: 'admin', password: 'ä'.repeat(37) }, 'password'],
];
wrong.forEach(([what, body, field], i) => test(`setup refuses ${what}`, async () => {
  const { error } = expect(await setUp(body, { from: `127.0.3.${i + 1}` }), 400).json;
  assert.equal(error.code, 'VALIDATION_INVALID_FORMAT');
  assert.equal(error.details.field, field);
}));

test('setup answers 400 to a body that is no JSON object, and 415 to one that is no JSON', async () => {
  for (const body of ['{"username":', '[]', '"text"', '', '{"a":1,"a":2}']) {
    const from = `127.0.4.${body.length + 1}`;
    const { error } = expect(await setUp(body, { from }), 400).json;
    assert.equal(error.code, 'VALIDATION_ERROR', body);
  }
  const { error } = expect(await setUp('username=admin',
    { from: '127.0.4.100', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }),
  415).json;
  assert.equal(error.code, 'VALIDATION_INVALID_FORMAT');
});

test('of many setups at once exactly one wins, and it is logged in as admin', async () => {
  const attempts = await Promise.all(Array.from({ length: 8 }, (_, i) =>
    setUp({ username: `admin-${i}`, password: PASSWORD }, { from: `127.0.5.${i + 1}` })));
  const winners = attempts.filter((a) => a.status === 201);
  assert.equal(winners.length, 1);
  for (const loser of attempts.filter((a) => a.status !== 201)) {
    expect(loser, 400);
    assert.equal(loser.json.error.code, 'SETUP_ALREADY_COMPLETED');
    assert.equal(loser.headers['set-cookie'], undefined);
  }
  const { success, user } = winners[0].json;
  assert.equal(success, true);
  assert.deepEqual(Object.keys(user), ['id', 'username']);
  const { session } = winners[0].cookies;
  assert.ok(session.attributes.includes('HttpOnly'));
  const me = expect(await service.call('GET', '/api/auth/me',
    { cookie: `session=${session.value}` }), 200).json;
  assert.deepEqual([me.id, me.username, me.isAdmin], [user.id, user.username, true]);
  assert.equal(service.sql('SELECT count(*) FROM users')[0][0], '1');
});

test('afterwards setup is neither required nor possible', async () => {
  expect(await service.call('GET', '/api/setup'), 200, { data: { setupRequired: false } });
  const { error } = expect(await setUp({ username: 'second', password: PASSWORD },
    { from: '127.0.6.1' }), 400).json;
  assert.equal(error.code, 'SETUP_ALREADY_COMPLETED');
});

test('the first admin is in the audit log', () => {
  const actions = service.sql('SELECT action FROM audit_log ORDER BY id').flat();
  assert.deepEqual(actions.slice(0, 2), ['USER_CREATED', 'USER_LOGIN']);
});

test('the fourth attempt from one address within a quarter of an hour is limited', async () => {
  const from = '127.0.7.1';
  for (let i = 0; i < 3; ++i) expect(await setUp({}, { from }), 400);
  const limited = expect(await setUp({}, { from }), 429);
  assert.equal(limited.json.error.code, 'RATE_LIMIT_EXCEEDED');
  const wait = Number(limited.headers['retry-after']);
  assert.ok(wait >= 1 && wait <= 900, limited.headers['retry-after']);
  expect(await setUp({}, { from: '127.0.7.2' }), 400); // nobody else is
  expect(await service.call('GET', '/api/setup', { from }), 200); // nor is looking
});

test('another method is answered 405 with the methods there are', async () => {
  const answer = expect(await service.call('DELETE', '/api/setup'), 405);
  assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS, POST');
  assert.equal(answer.json.error.message, 'Method not allowed');
});

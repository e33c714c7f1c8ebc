/// Refresh tokens (developer.md §9): they rotate, tabs that come at once stay logged in, a stolen one
/// ends the login.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, startService, subjectOf } from './harness.mjs';
import { refusal, sha256, ulid } from './developer.mjs';

const INVALID = refusal('invalid_refresh_token', 'Refresh token is invalid or expired');
const JWT = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;

let service;
before(async () => {
  service = await startService({ env: { BINNACLE_LIMITS_DEVELOPER_REFUSALS: '100000/60s',
    BINNACLE_RATE_LIMIT_SCALE: '1000', BINNACLE_SESSION_MAX_IN_FLIGHT: '100' } });
  await service.learnKeys();
});
after(() => service?.stop());

let people = 0;
/// A login: {id, refreshToken}, put into the database as a login does.
async function login() {
  const id = subjectOf(await service.token(`tab${people += 1}@example.com`));
  return { id, refreshToken: begin(id) };
}
function begin(id, claims = {}) {
  const token = service.mint({ sub: id, typ: 'refresh', jti: ulid(), exp: Math.floor(Date.now() / 1000) + 7 * 86_400, ...claims });
  service.sql(`INSERT INTO refresh_tokens (digest, family, user_id, session_version, issued_at, expires_at)
    VALUES ('\\x${sha256(token)}', '${ulid()}', '${id}', 0, now(), now() + interval '7 days')`);
  return token;
}
const refresh = (refreshToken, options) => service.call('POST', '/auth/refresh', { ...options, body: { refreshToken } });
const refreshed = async (token) => expect(await refresh(token), 200).json;
const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
/// As if it had been so much earlier.
const age = (token, column, by) => service.sql(
  `UPDATE refresh_tokens SET ${column} = ${column} - interval '${by}' WHERE digest = '\\x${sha256(token)}'`);

test('a refresh gives two new tokens, bare, and each is good for its own purpose only', async () => {
  const { id, refreshToken } = await login();
  const answer = expect(await refresh(refreshToken), 200);
  assert.deepEqual(Object.keys(answer.json), ['accessToken', 'refreshToken']);
  assert.equal(answer.headers['cache-control'], 'no-store');
  const { accessToken, refreshToken: next } = answer.json;
  for (const token of [accessToken, next]) assert.match(token, JWT);
  assert.notEqual(next, refreshToken);

  const access = claimsOf(accessToken), kept = claimsOf(next);
  assert.deepEqual([access.sub, access.typ, access.exp - access.iat], [id, 'access', 900]);
  assert.deepEqual([kept.sub, kept.typ, kept.exp - kept.iat], [id, 'refresh', 7 * 86_400]);
  expect(await service.call('GET', '/api/auth/me', { token: accessToken }), 200);
  expect(await service.call('GET', '/api/auth/me', { token: next }), 401);
  expect(await refresh(accessToken), 401, INVALID);
  await refreshed(next);
});

test('what is missing or malformed is 400, what is no live refresh token 401', async () => {
  for (const body of [{}, { refreshToken: '' }, { refreshToken: null }, { refreshToken: 5 }, '[]', '{', ''])
    assert.equal(expect(await service.call('POST', '/auth/refresh', { body }), 400).json.error.code, 'validation_error');
  const { id, refreshToken } = await login();
  const unknown = service.mint({ sub: id, typ: 'refresh', jti: 'nobody has issued it' });
  const head = refreshToken.split('.').slice(0, 2).join('.');
  for (const token of ['words', 'a.b.c', unknown, `${head}.`, `${head}.${'A'.repeat(342)}`,
    service.mint({ sub: id }), service.mint({ sub: 'usr_nobody', typ: 'refresh' }), begin(id, { typ: 'access' }),
    begin(id, { exp: Math.floor(Date.now() / 1000) - 120 }), begin(id, { iss: 'somebody else' })])
    expect(await refresh(token), 401, INVALID);
  expect(await service.call('GET', '/auth/refresh'), 405);
  await refreshed(refreshToken); // nothing of that has ended the login
});

test('twenty tabs that refresh at once get one successor, and it works', async () => {
  const { refreshToken } = await login();
  const all = await Promise.all(Array.from({ length: 20 }, () => refreshed(refreshToken)));
  assert.equal(new Set(all.map((a) => a.refreshToken)).size, 1);
  assert.equal(service.sql(`SELECT count(*) FROM refresh_tokens WHERE family =
    (SELECT family FROM refresh_tokens WHERE digest = '\\x${sha256(refreshToken)}')`)[0][0], '2');
  for (const { accessToken } of all) expect(await service.call('GET', '/api/auth/me', { token: accessToken }), 200);
  const next = await Promise.all(all.map((a) => refreshed(a.refreshToken)));
  assert.equal(new Set(next.map((a) => a.refreshToken)).size, 1);
  // A tab that comes late, but in time, gets what is newest and stays logged in.
  assert.equal((await refreshed(refreshToken)).refreshToken, next[0].refreshToken);
});

test('a token that is used again after ten seconds ends its login, and no other', async () => {
  const { id, refreshToken } = await login();
  const other = begin(id);
  const { refreshToken: next } = await refreshed(refreshToken);
  age(refreshToken, 'used_at', '9 seconds');
  assert.equal((await refreshed(refreshToken)).refreshToken, next);

  age(refreshToken, 'used_at', '2 seconds');
  expect(await refresh(refreshToken), 401, INVALID);
  expect(await refresh(next), 401, INVALID);
  await refreshed(other);
  const [[noted]] = service.sql(`SELECT count(*) FROM audit_log WHERE actor = '${id}' AND action = 'REFRESH_TOKEN_REUSED'`);
  assert.equal(noted, '1');
});

test('each use restarts the seven days', async () => {
  const { refreshToken } = await login();
  age(refreshToken, 'expires_at', '6 days 23 hours 59 minutes');
  const { refreshToken: next } = await refreshed(refreshToken);
  const [[left]] = service.sql(`SELECT extract(epoch FROM expires_at - now()) > 6.9 * 86400 FROM refresh_tokens WHERE digest = '\\x${sha256(next)}'`);
  assert.equal(left, 't');
  age(next, 'expires_at', '7 days');
  expect(await refresh(next), 401, INVALID);
});

test('a new password, a suspension and a logout end what they should', async () => {
  const id = await service.user('rita');
  const cookie = expect(await service.call('POST', '/api/auth/login', { body: { username: 'rita', password: PASSWORD } }), 200)
    .cookies.session.value;
  const first = begin(id);
  expect(await service.call('POST', '/api/auth/change-password', { cookie: `session=${cookie}`,
    body: { currentPassword: PASSWORD, newPassword: 'another good password' } }), 200);
  expect(await refresh(first), 401, INVALID);

  const suspended = await login();
  service.changeUser(suspended.id, "status = 'suspended'");
  expect(await refresh(suspended.refreshToken), 401, INVALID);

  const { id: who, refreshToken } = await login();
  const elsewhere = begin(who);
  const { refreshToken: next } = await refreshed(refreshToken);
  const out = (token) => service.call('POST', '/auth/logout', { body: { refreshToken: token } });
  expect(await out(next), 200, { message: 'Logged out' });
  expect(await out(next), 200);
  for (const token of [refreshToken, next]) expect(await refresh(token), 401, INVALID);
  expect(await out('words'), 401, INVALID);
  await refreshed(elsewhere);
});

test('no token is kept in clear, and what was sealed is forgotten', async () => {
  const { refreshToken } = await login();
  const { refreshToken: next } = await refreshed(refreshToken);
  const key = { headers: { 'Idempotency-Key': 'refresh' } };
  const { refreshToken: third } = expect(await refresh(next, key), 200).json;
  assert.equal(expect(await refresh(next, key), 200).json.refreshToken, third); // replayed
  const dump = spawnSync('pg_dump', ['-h', join(service.data, 'postgres/run'), '-U', 'binnacle', 'binnacle'], {
    env: { PATH: process.env.PATH, PGPASSWORD: readFileSync(join(service.data, 'secrets/postgres-password'), 'utf8').trim() },
    encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(dump.status, 0, dump.stderr);
  const kept = dump.stdout + service.output + readFileSync(join(service.directory, 'access.log'), 'utf8');
  assert.ok(dump.stdout.includes(sha256(third)));
  for (const token of [refreshToken, next, third])
    for (const part of token.split('.').slice(1)) assert.ok(!kept.includes(part));
});

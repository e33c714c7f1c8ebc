/// Developers' projects and who uses them (developer.md §3 to §5), logging in, and who may read the
/// answers from elsewhere (§9).
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, startService, subjectOf } from './harness.mjs';
import { SECONDS, ULID, refusal, ulid } from './developer.mjs';

const PROJECTS = '/dashboard/projects', LOGIN = '/auth/login';
const NO_PROJECT = refusal('not_found', 'Project not found');
const NOT_YOURS = refusal('forbidden', "You don't own this project");
const NO_USER = refusal('not_found', 'User not found');
const NOBODY = refusal('unauthorized', 'authentication required');

let service;
before(async () => {
  service = await startService({ env: { BINNACLE_SESSION_MAX_IN_FLIGHT: '100' } });
});
after(() => service?.stop());

let people = 0;
async function somebody() {
  const email = `owner${people += 1}@example.com`;
  const token = await service.token(email);
  return { token, id: subjectOf(token), email };
}
const send = (who, method, path, body) => service.call(method, path, { token: who.token, body });
const data = (answer, status = 200) => expect(answer, status).json.data;
const make = async (who, body = { name: 'Shop' }) => data(await send(who, 'POST', PROJECTS, body), 201);
const usersOf = (project) => `${PROJECTS}/${project.id}/users`;
const addUser = async (who, project, email) =>
  data(await send(who, 'POST', usersOf(project), { email }), 201);
const page = async (who, project, query = '') =>
  expect(await send(who, 'GET', `${usersOf(project)}${query}`), 200).json;
const emails = (list) => list.data.map((u) => u.email);
/// Users of a project, put into the database; each [email, last login or null, blocked].
const insertUsers = (project, users) =>
  service.sql(`INSERT INTO project_users (id, project_id, email, last_login_at, last_auth_provider,
    login_count, blocked_at, created_at) VALUES ${users.map(([email, last, blocked]) =>
    `('${ulid()}', '${project.id}', '${email}', ${last ? `'${last}', 'google', 15` : 'NULL, NULL, 0'},
      ${blocked ? 'now()' : 'NULL'}, '2026-01-10T08:00:00.75Z')`).join()}`);
/// A new owner with a project.
async function owner(body) {
  const who = await somebody();
  return { who, project: await make(who, body) };
}

// -- access ------------------------------------------------------------------------------------------

test('every route is for the project\'s owner: 401, 403, 404, and 405 with Allow', async () => {
  const { who, project } = await owner();
  const other = await somebody();
  const user = await addUser(who, project, 'user@example.com');
  for (const [method, path, body] of [['GET', ''], ['PATCH', '', { name: 'Mine' }], ['DELETE', ''],
    ['GET', '/users'], ['POST', '/users', { email: 'a@example.com' }],
    ['PATCH', `/users/${user.id}`, { blocked: true }], ['DELETE', `/users/${user.id}`]]) {
    const at = (id) => `${PROJECTS}/${id}${path}`;
    expect(await service.call(method, at(project.id), { body }), 401, NOBODY);
    expect(await send(other, method, at(project.id), body), 403, NOT_YOURS);
    expect(await send(who, method, at(ulid()), body), 404, NO_PROJECT);
    expect(await send(who, method, at('nothing'), body), 404, NO_PROJECT);
  }
  expect(await service.call('GET', PROJECTS), 401, NOBODY);
  expect(await service.call('POST', PROJECTS, { body: { name: 'x' } }), 401, NOBODY);
  for (const [path, allow] of [[PROJECTS, 'GET, HEAD, OPTIONS, POST'],
    [`${PROJECTS}/${project.id}`, 'DELETE, GET, HEAD, OPTIONS, PATCH'],
    [usersOf(project), 'GET, HEAD, OPTIONS, POST'],
    [`${usersOf(project)}/${user.id}`, 'DELETE, OPTIONS, PATCH'], [LOGIN, 'OPTIONS, POST']]) {
    const wrong = expect(await send(who, 'PUT', path, {}), 405, refusal('method_not_allowed', 'method not allowed'));
    assert.equal(wrong.headers.allow, allow);
  }
});

test('neither cookies nor anything else than a bearer token lets in', async () => {
  await service.user('cookie-holder');
  const login = expect(await service.call('POST', '/api/auth/login',
    { body: { username: 'cookie-holder', password: PASSWORD } }), 200);
  const cookie = `session=${login.cookies.session.value}`;
  expect(await service.call('GET', PROJECTS, { cookie }), 401, NOBODY);
  for (const Authorization of ['Basic YTpi', 'Bearer', 'Bearer a b c', 'Bearer pk_0123'])
    expect(await service.call('GET', PROJECTS, { headers: { Authorization } }), 401, NOBODY);
  const { token } = await somebody();
  expect(await service.call('GET', PROJECTS, { headers: { Authorization: `bearer ${token}` } }), 200);
});

// -- projects ----------------------------------------------------------------------------------------

test('a project is made, read, changed and deleted', async () => {
  const who = await somebody();
  const made = await make(who, { name: '  Shop ', description: 'Sells things',
    allowedOrigins: ['https://Shop.example.com/', '*.shop.example.com'], allowedProviders: ['email', 'google'] });
  assert.match(made.id, ULID);
  assert.match(made.createdAt, SECONDS);
  assert.deepEqual(made, { id: made.id, name: 'Shop', description: 'Sells things',
    allowedOrigins: ['https://shop.example.com', '*.shop.example.com'], allowedProviders: ['email', 'google'],
    userCount: 0, apiKeyCount: 0, createdAt: made.createdAt, updatedAt: made.createdAt });
  assert.deepEqual(data(await send(who, 'GET', `${PROJECTS}/${made.id}`)), made);

  const changed = data(await send(who, 'PATCH', `${PROJECTS}/${made.id}`, { description: null, allowedOrigins: [] }));
  assert.deepEqual(changed, { ...made, description: null, allowedOrigins: [], updatedAt: changed.updatedAt });

  const gone = expect(await send(who, 'DELETE', `${PROJECTS}/${made.id}`), 200).json;
  assert.match(gone.data.deletedAt, SECONDS);
  assert.deepEqual(gone, { data: { id: made.id, deletedAt: gone.data.deletedAt }, message: 'Project has been deleted' });
  expect(await send(who, 'GET', `${PROJECTS}/${made.id}`), 404, NO_PROJECT);
  expect(await send(who, 'DELETE', `${PROJECTS}/${made.id}`), 404, NO_PROJECT);
  assert.deepEqual(expect(await send(who, 'GET', PROJECTS), 200).json, { data: [], meta: { total: 0 } });
});

test('what is not said at first is null, empty, or login by email', async () => {
  const { project } = await owner();
  assert.deepEqual([project.description, project.allowedOrigins, project.allowedProviders], [null, [], ['email']]);
});

test('the list shows the newest first, with the number of users, blocked ones included', async () => {
  const { who, project } = await owner({ name: 'first' });
  const second = await make(who, { name: 'second', description: 'x' });
  const user = await addUser(who, project, 'a@example.com');
  await addUser(who, project, 'b@example.com');
  expect(await send(who, 'PATCH', `${usersOf(project)}/${user.id}`, { blocked: true }), 200);
  const list = expect(await send(who, 'GET', PROJECTS), 200).json;
  assert.deepEqual(list, {
    data: [
      { id: second.id, name: 'second', description: 'x', userCount: 0, createdAt: second.createdAt, updatedAt: second.updatedAt },
      { id: project.id, name: 'first', description: null, userCount: 2, createdAt: project.createdAt, updatedAt: project.updatedAt },
    ],
    meta: { total: 2 },
  });
  assert.equal(data(await send(who, 'GET', `${PROJECTS}/${project.id}`)).userCount, 2);
});

for (const [field, body] of [
  ['name', {}], ['name', { name: null }], ['name', { name: ' ' }], ['name', { name: 7 }],
  ['name', { name: 'ä'.repeat(101) }], ['description', { name: 'x', description: 'd'.repeat(1001) }],
  ['description', { name: 'x', description: [] }], ['allowedOrigins', { name: 'x', allowedOrigins: 'https://a.example' }],
  ['allowedOrigins', { name: 'x', allowedOrigins: ['a.example'] }], ['allowedOrigins', { name: 'x', allowedOrigins: [1] }],
  ['allowedOrigins', { name: 'x', allowedOrigins: ['https://a.example/path'] }],
  ['allowedOrigins', { name: 'x', allowedOrigins: Array(101).fill('https://a.example') }],
  ['allowedProviders', { name: 'x', allowedProviders: [] }], ['allowedProviders', { name: 'x', allowedProviders: ['E mail'] }],
])
  test(`a project is refused for its ${field}: ${JSON.stringify(body).slice(0, 60)}`, async () => {
    const { who, project } = await owner();
    const answer = expect(await send(who, 'POST', PROJECTS, body), 400).json;
    assert.equal(answer.error.code, 'validation_error');
    assert.match(answer.error.message, new RegExp(field));
    if (Object.keys(body).length > 0)
      expect(await send(who, 'PATCH', `${PROJECTS}/${project.id}`, body), 400);
  });

test('a body that is none is refused in the surface\'s words', async () => {
  const { who, project } = await owner();
  for (const [method, path] of [['POST', PROJECTS], ['PATCH', `${PROJECTS}/${project.id}`], ['POST', usersOf(project)]]) {
    expect(await send(who, method, path, '{"name":'), 400, refusal('validation_error', 'invalid JSON body'));
    expect(await send(who, method, path, '[]'), 400);
    expect(await service.call(method, path, { token: who.token, body: 'name=x',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }), 415);
  }
});

// -- users -------------------------------------------------------------------------------------------

test('a user is added, blocked, let in again and removed', async () => {
  const { who, project } = await owner();
  const user = await addUser(who, project, ' New.User@Example.com ');
  assert.match(user.id, ULID);
  assert.match(user.createdAt, SECONDS);
  const shown = { id: user.id, email: 'new.user@example.com', authMethod: null, loginCount: 0,
    createdAt: user.createdAt, lastLoginAt: null };
  assert.deepEqual(user, { ...shown, blockedAt: null });
  expect(await send(who, 'POST', usersOf(project), { email: 'new.user@example.com' }), 409,
    refusal('conflict', 'The project has a user with this email address'));
  assert.deepEqual(await page(who, project), { data: [shown],
    meta: { page: 1, limit: 50, total: 1, totalPages: 1, nextCursor: null } });

  const at = `${usersOf(project)}/${user.id}`;
  const blocked = data(await send(who, 'PATCH', at, { blocked: true }));
  assert.match(blocked.blockedAt, SECONDS);
  assert.deepEqual((await page(who, project)).meta.total, 0);
  assert.deepEqual(await page(who, project, '?blocked=true'), { data: [blocked],
    meta: { page: 1, limit: 50, total: 1, totalPages: 1 } });
  assert.deepEqual((await page(who, project, '?blocked=true&search=nobody')).data, []);
  assert.equal(data(await send(who, 'PATCH', at, { blocked: false })).blockedAt, null);
  assert.deepEqual(emails(await page(who, project)), ['new.user@example.com']);

  expect(await send(who, 'DELETE', at), 200, { data: { id: user.id }, message: 'User has been removed' });
  expect(await send(who, 'DELETE', at), 404, NO_USER);
  expect(await send(who, 'PATCH', at, { blocked: true }), 404, NO_USER);
  assert.deepEqual((await page(who, project)).data, []);
});

test('a user of another project is unknown here', async () => {
  const { who, project } = await owner();
  const other = await make(who, { name: 'other' });
  const user = await addUser(who, other, 'a@example.com');
  for (const [method, body] of [['PATCH', { blocked: true }], ['DELETE']])
    expect(await send(who, method, `${usersOf(project)}/${user.id}`, body), 404, NO_USER);
});

for (const [method, path, body, field] of [
  ['POST', '', {}, 'email'], ['POST', '', { email: 'nobody' }, 'email'], ['POST', '', { email: 7 }, 'email'],
  ['PATCH', '/x', {}, 'blocked'], ['PATCH', '/x', { blocked: 'yes' }, 'blocked'],
  ['GET', '?page=0', undefined, 'page'], ['GET', '?page=x', undefined, 'page'], ['GET', '?page=1.5', undefined, 'page'],
  ['GET', '?page=', undefined, 'page'], ['GET', '?limit=0', undefined, 'limit'], ['GET', '?limit=-5', undefined, 'limit'],
  ['GET', '?limit=ten', undefined, 'limit'], ['GET', '?cursor=x', undefined, 'cursor'],
  ['GET', '?blocked=maybe', undefined, 'blocked'],
])
  test(`${method} users${path} ${body ? JSON.stringify(body) : ''} names the field`, async () => {
    const { who, project } = await owner();
    const answer = expect(await send(who, method, `${usersOf(project)}${path}`, body), 400).json;
    assert.equal(answer.error.code, 'validation_error');
    assert.match(answer.error.message, new RegExp(field));
  });

test('whoever logged in last comes first, who never did comes last, who is blocked does not come', async () => {
  const { who, project } = await owner();
  insertUsers(project, [['never@x.org'], ['old@x.org', '2026-01-01T00:00:00Z'], ['blocked@x.org', '2026-03-01T00:00:00Z', true],
    ['new@x.org', '2026-01-24T09:15:00.999Z'], ['equal1@x.org', '2026-01-02T00:00:00Z'], ['equal2@x.org', '2026-01-02T00:00:00Z']]);
  const list = await page(who, project);
  const order = emails(list);
  assert.deepEqual([order[0], ...order.slice(1, 3).sort(), ...order.slice(3)],
    ['new@x.org', 'equal1@x.org', 'equal2@x.org', 'old@x.org', 'never@x.org']);
  assert.ok(list.data[1].id < list.data[2].id);
  assert.deepEqual(list.data[0], { id: list.data[0].id, email: 'new@x.org', authMethod: 'google', loginCount: 15,
    createdAt: '2026-01-10T08:00:00Z', lastLoginAt: '2026-01-24T09:15:00Z' });
  assert.equal(list.meta.total, 5); // what the pages show
});

test('pages have the size that is asked for, 100 at most; one beyond the end is empty', async () => {
  const { who, project } = await owner();
  insertUsers(project, Array.from({ length: 120 }, (_, i) => [`u${i}@x.org`]));
  const sizes = async (query) => {
    const { data: rows, meta: { nextCursor, ...meta } } = await page(who, project, query);
    return [rows.length, meta, nextCursor !== null];
  };
  assert.deepEqual(await sizes(''), [50, { page: 1, limit: 50, total: 120, totalPages: 3 }, true]);
  assert.deepEqual(await sizes('?page=3'), [20, { page: 3, limit: 50, total: 120, totalPages: 3 }, false]);
  assert.deepEqual(await sizes('?limit=500'), [100, { page: 1, limit: 100, total: 120, totalPages: 2 }, true]);
  assert.deepEqual(await sizes('?page=9'), [0, { page: 9, limit: 50, total: 120, totalPages: 3 }, false]);
  assert.deepEqual(await sizes('?page=99999999999999999999'), [0, { page: 1000000000, limit: 50, total: 120, totalPages: 3 }, false]);
  assert.deepEqual(await sizes('?search=nobody'), [0, { page: 1, limit: 50, total: 0, totalPages: 0 }, false]);
});

test('a search is literal, whatever it contains, in any case', async () => {
  const { who, project } = await owner();
  insertUsers(project, ['a_b@x.org', 'acb@x.org', 'a%b@x.org', 'a\\b@x.org', 'plus+tag@x.org'].map((email) => [email]));
  const found = async (term) => emails(await page(who, project, `?search=${encodeURIComponent(term)}`));
  assert.deepEqual(await found('a_b'), ['a_b@x.org']);
  assert.deepEqual(await found('a%b'), ['a%b@x.org']);
  assert.deepEqual(await found('a\\b'), ['a\\b@x.org']);
  for (const [term, count] of [['_', 1], ['%', 1], ['\\', 1], ['+', 1], ['@X.ORG', 5], [' acb ', 1], ["' OR 1=1", 0], ['b@x.org\na', 0]])
    assert.equal((await found(term)).length, count, term);
});

test('all pages together are what there is, whatever is searched for', async () => {
  const { who, project } = await owner();
  const letters = ['a', 'b', '_', '%', '.'];
  const all = new Set(Array.from({ length: 300 }, () => `${Array.from(randomBytes(5), (b) => letters[b % 5]).join('')}@x.org`));
  insertUsers(project, [...all].map((email) => [email,
    randomInt(3) > 0 && new Date(Date.UTC(2026, 0, 1, 0, 0, randomInt(50))).toISOString()]));
  for (const term of ['', 'a', '_%', 'ab', '..', 'b@x', '%', ...Array.from({ length: 10 }, () => [...all][randomInt(all.size)].slice(1, 4))]) {
    const query = `search=${encodeURIComponent(term)}`, limit = 1 + randomInt(100);
    const wanted = [...all].filter((email) => email.includes(term));
    const { meta } = await page(who, project, `?${query}&limit=${limit}`);
    assert.equal(meta.total, wanted.length, term);
    const seen = [];
    for (let i = 1; i <= meta.totalPages; i += 1)
      seen.push(...emails(await page(who, project, `?${query}&limit=${limit}&page=${i}`)));
    assert.deepEqual([...seen].sort(), [...wanted].sort(), term);
    let walked = [], cursor = '', at = 0;
    do {
      const next = await page(who, project, `?${query}&limit=${limit}${cursor}`);
      assert.equal(next.meta.page, at += 1);
      walked.push(...emails(next));
      cursor = next.meta.nextCursor && `&cursor=${encodeURIComponent(next.meta.nextCursor)}`;
    } while (cursor);
    assert.deepEqual(walked, seen, term);
  }
});

test('a walk along the cursors meets nobody twice and misses nobody who stays, whoever comes and logs in', async () => {
  const { who, project } = await owner();
  insertUsers(project, Array.from({ length: 60 }, (_, i) => [`u${i}@x.org`, `2026-01-01T00:00:${String(i).padStart(2, '0')}Z`]));
  const seen = [];
  let cursor = '', round = 0;
  do {
    const next = await page(who, project, `?limit=7${cursor}`);
    seen.push(...emails(next));
    cursor = next.meta.nextCursor && `&cursor=${encodeURIComponent(next.meta.nextCursor)}`;
    round += 1;
    service.sql(`UPDATE project_users SET last_login_at = now() WHERE project_id = '${project.id}' AND email IN ('u${round}@x.org', 'u${59 - round}@x.org')`);
    insertUsers(project, [[`late${round}@x.org`, '2026-02-01T00:00:00Z']]);
  } while (cursor);
  assert.equal(new Set(seen).size, seen.length);
  const moved = new Set(Array.from({ length: round }, (_, i) => [`u${i + 1}@x.org`, `u${58 - i}@x.org`]).flat());
  for (let i = 0; i < 60; i += 1) assert.ok(moved.has(`u${i}@x.org`) || seen.includes(`u${i}@x.org`), `u${i}`);
});

test('a page shows what was written before it was asked for, and its tag tells whether it changed', async () => {
  const { who, project } = await owner();
  for (let i = 1; i <= 10; i += 1) {
    await addUser(who, project, `u${i}@x.org`);
    assert.equal((await page(who, project)).meta.total, i);
  }
  const first = expect(await send(who, 'GET', usersOf(project)), 200);
  const again = { token: who.token, headers: { 'If-None-Match': first.headers.etag } };
  expect(await service.call('GET', usersOf(project), again), 304);
  await addUser(who, project, 'one-more@x.org');
  expect(await service.call('GET', usersOf(project), again), 200);
});

test('users that are added at once are all counted', async () => {
  const { who, project } = await owner();
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
    send(who, 'POST', usersOf(project), { email: `u${i % 10}@x.org` })));
  assert.deepEqual(answers.map((a) => a.status).sort(), [...Array(10).fill(201), ...Array(10).fill(409)]);
  assert.equal((await page(who, project)).meta.total, 10);
  assert.equal(data(await send(who, 'GET', `${PROJECTS}/${project.id}`)).userCount, 10);
});

// -- logging in --------------------------------------------------------------------------------------

let addresses = 0;
const from = () => `127.0.9.${addresses += 1}`;
const logIn = (body) => service.call('POST', LOGIN, { body, from: from() });

test('a login gives tokens that are good at once', async () => {
  const id = await service.user('dev', { email: 'dev@example.com' });
  const answer = expect(await logIn({ username: 'dev', password: PASSWORD }), 200);
  const { accessToken, refreshToken, user } = answer.json;
  assert.deepEqual(Object.keys(answer.json), ['accessToken', 'refreshToken', 'user']);
  assert.deepEqual(user, { id, username: 'dev', email: 'dev@example.com' });
  assert.equal(answer.headers['set-cookie'], undefined);
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.equal(answer.headers['x-ratelimit-limit'], '10');
  expect(await service.call('GET', PROJECTS, { token: accessToken }), 200);
  expect(await service.call('GET', PROJECTS, { token: refreshToken }), 401, NOBODY);
  const fresh = expect(await service.call('POST', '/auth/refresh', { body: { refreshToken } }), 200).json;
  expect(await service.call('GET', PROJECTS, { token: fresh.accessToken }), 200);
  expect(await logIn({ email: 'Dev@Example.com', password: PASSWORD }), 200);
});

test('whatever does not match is the same 401', async () => {
  await service.user('guessed', { email: 'guessed@example.com' });
  for (const body of [{ username: 'guessed', password: 'something else' }, { username: 'nobody-here', password: PASSWORD },
    { email: 'guessed@example.com', password: 'something else' }, { email: 'nobody@example.com', password: PASSWORD },
    { username: 'guessed@example.com', password: PASSWORD }, { username: '%', password: PASSWORD }])
    expect(await logIn(body), 401, refusal('unauthorized', 'Invalid credentials'));
  for (const [body, field] of [[{}, 'username'], [{ username: 'guessed' }, 'password'], [{ password: PASSWORD }, 'username'],
    [{ username: 7, password: PASSWORD }, 'username']])
    assert.match(expect(await logIn(body), 400).json.error.message, new RegExp(field));
});

test('logins are limited by address, and failures by name', async () => {
  const one = from();
  const attempt = () => service.call('POST', LOGIN, { body: { username: 'limited-1', password: 'wrong password' }, from: one });
  for (let i = 0; i < 10; i += 1) expect(await attempt(), 401);
  const over = expect(await attempt(), 429);
  assert.equal(over.json.error.code, 'rate_limit_exceeded');
  assert.ok(Number(over.headers['retry-after']) >= 1);
  expect(await logIn({ username: 'limited-1', password: 'wrong password' }), 429);
});

test('a suspended user is not let in', async () => {
  const id = await service.user('suspended-dev');
  service.changeUser(id, "status = 'suspended'");
  expect(await logIn({ username: 'suspended-dev', password: PASSWORD }), 403, refusal('forbidden', 'Account is suspended'));
});

test('a login at a project is for its users, and counted', async () => {
  const { who, project } = await owner({ name: 'with logins' });
  await service.user('end-user', { email: 'end-user@example.com' });
  const enter = (projectId = project.id) => logIn({ username: 'end-user', password: PASSWORD, projectId });
  expect(await enter(), 403, refusal('forbidden', 'You are no user of this project'));
  expect(await enter(ulid()), 404, NO_PROJECT);
  const user = await addUser(who, project, 'end-user@example.com');
  expect(await enter(), 200);
  expect(await enter(), 200);
  const [seen] = (await page(who, project)).data;
  assert.deepEqual([seen.id, seen.authMethod, seen.loginCount], [user.id, 'email', 2]);
  assert.match(seen.lastLoginAt, SECONDS);

  expect(await send(who, 'PATCH', `${usersOf(project)}/${user.id}`, { blocked: true }), 200);
  expect(await enter(), 403);
  expect(await send(who, 'PATCH', `${usersOf(project)}/${user.id}`, { blocked: false }), 200);
  expect(await send(who, 'PATCH', `${PROJECTS}/${project.id}`, { allowedProviders: ['google'] }), 200);
  expect(await enter(), 403, refusal('forbidden', 'The project does not accept this kind of login'));
});

// -- from elsewhere ----------------------------------------------------------------------------------

const preflight = (path, origin, method = 'GET') => service.call('OPTIONS', path,
  { headers: { Origin: origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': 'authorization' } });

function assertShared(answer, origin) {
  assert.equal(answer.headers['access-control-allow-origin'], origin, answer.asked);
  assert.equal(answer.headers['access-control-allow-credentials'], 'true');
  assert.match(answer.headers.vary, /Origin/);
}
function assertUnshared(answer) {
  assert.deepEqual(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-')), [], answer.asked);
  assert.match(answer.headers.vary, /Origin/);
}

test('the origins that a project allows are let through, and no others', async () => {
  const { who, project } = await owner({ name: 'x', allowedOrigins: ['https://app.example.com', '*.preview.example.com'] });
  const path = usersOf(project);
  for (const origin of ['https://app.example.com', 'https://pr-1.preview.example.com']) {
    const asked = expect(await preflight(path, origin, 'POST'), 204);
    assertShared(asked, origin);
    assert.equal(asked.headers['access-control-allow-methods'], 'GET, HEAD, OPTIONS, POST');
    assert.match(asked.headers['access-control-allow-headers'], /Authorization/);
    assert.equal(asked.headers['access-control-max-age'], '86400');
    const sent = expect(await service.call('GET', path, { token: who.token, headers: { Origin: origin } }), 200);
    assertShared(sent, origin);
    assert.match(sent.headers['access-control-expose-headers'], /X-Request-Id/);
    // A script can read why it was refused, too.
    assertShared(expect(await service.call('GET', path, { headers: { Origin: origin } }), 401), origin);
    assertShared(expect(await service.call('GET', `${path}?page=0`, { token: who.token, headers: { Origin: origin } }), 400), origin);
    assertShared(expect(await service.call('PUT', path, { token: who.token, headers: { Origin: origin }, body: {} }), 405), origin);
  }
  for (const origin of ['https://evil.example', 'http://app.example.com', 'https://app.example.com:8443', 'https://preview.example.com',
    'https://app.example.com.evil.example', 'null']) {
    assertUnshared(expect(await preflight(path, origin), 403, refusal('forbidden', 'Origin not allowed')));
    assertUnshared(expect(await service.call('GET', path, { token: who.token, headers: { Origin: origin } }), 200));
  }
});

test('an empty list allows every origin, and so does *; our own is always allowed', async () => {
  const { who, project } = await owner();
  const path = `${PROJECTS}/${project.id}`, anywhere = 'https://anywhere.example';
  assertShared(expect(await preflight(path, anywhere), 204), anywhere);
  data(await send(who, 'PATCH', path, { allowedOrigins: ['https://one.example'] }));
  assertUnshared(expect(await preflight(path, anywhere), 403));
  assertShared(expect(await preflight(path, service.url), 204), service.url);
  data(await send(who, 'PATCH', path, { allowedOrigins: ['*'] }));
  assertShared(expect(await preflight(path, anywhere), 204), anywhere);
  expect(await preflight(path, 'null'), 403);
});

test('what is of no project may be read from everywhere', async () => {
  for (const [path, method] of [[PROJECTS, 'GET'], [LOGIN, 'POST'], ['/auth/refresh', 'POST'], [`${PROJECTS}/${ulid()}`, 'GET']])
    assertShared(expect(await preflight(path, 'https://anywhere.example', method), 204), 'https://anywhere.example');
  const refused = await service.call('POST', LOGIN, { body: {}, headers: { Origin: 'https://anywhere.example' }, from: from() });
  assertShared(expect(refused, 400), 'https://anywhere.example');
});

test('other surfaces are not shared, and an OPTIONS that is no preflight is what it was', async () => {
  const elsewhere = await service.call('OPTIONS', '/api/usage',
    { headers: { Origin: 'https://anywhere.example', 'Access-Control-Request-Method': 'GET' } });
  assert.equal(expect(elsewhere, 204).headers['access-control-allow-origin'], undefined);
  const plain = expect(await service.call('OPTIONS', PROJECTS), 204);
  assert.equal(plain.headers.allow, 'GET, HEAD, OPTIONS, POST');
  assert.equal(plain.headers['access-control-allow-origin'], undefined);
});

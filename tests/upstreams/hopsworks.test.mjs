import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { startHopsworks } from './hopsworks.mjs';
import { command, request, temporaryDirectory } from './lib/testing.mjs';

const ANA = { accountType: 'REMOTE_ACCOUNT_TYPE', email: 'ana@demo.example', givenName: 'Ana',
  surname: 'Alves', maxNumProjects: '5', subject: 'auth0|1', clientId: 'client', type: 'OAUTH2' };

async function started(test, options) {
  const server = await startHopsworks(options);
  test.after(() => server.close());
  const call = async (method, path, { key = server.apiKey, body, headers = {} } = {}) => {
    const answer = await fetch(`${server.url}/hopsworks-api/api${path}`, {
      method, body: body && JSON.stringify(body),
      headers: { Authorization: `ApiKey ${key}`,
        ...(body && { 'Content-Type': 'application/json' }), ...headers },
    });
    return { status: answer.status, headers: answer.headers,
      json: await answer.json().catch(() => null) };
  };
  const create = (query) => call('POST', `/admin/users?${new URLSearchParams(query)}`);
  const fail = (...faults) => command(`${server.control}/faults`, 'POST', faults);
  return { ...server, call, create, fail };
}

describe('the key', () => {
  it('is demanded, with its own scheme', async (test) => {
    const { url, apiKey, call } = await started(test);

    assert.equal((await call('GET', '/admin/users', { key: 'wrong' })).status, 401);
    const bearer = await fetch(`${url}/hopsworks-api/api/admin/users`,
      { headers: { Authorization: `Bearer ${apiKey}` } });
    assert.equal(bearer.status, 401);
    assert.equal((await call('GET', '/admin/users')).status, 200);
  });
});

describe('users', () => {
  it('are made by a query without a body, and answered without an id', async (test) => {
    const { call, create } = await started(test);

    const made = await create(ANA);

    assert.equal(made.status, 201);
    assert.deepEqual(Object.keys(made.json), ['uuid', 'givenName', 'surname', 'email', 'username']);
    const [user] = (await call('GET', '/admin/users')).json.items;
    assert.equal(user.username, made.json.username);
    assert.deepEqual([user.status, user.maxNumProjects, user.numActiveProjects], [2, 5, 0]);
    assert.equal((await call('GET', `/admin/users/${user.id}`)).json.email, 'ana@demo.example');
    assert.equal((await call('GET', `/admin/users/${user.username}`)).status, 404);
  });

  it('cannot be made twice, with a body, with too little, or with a status', async (test) => {
    const { call, create } = await started(test);
    await create(ANA);

    assert.equal((await create(ANA)).status, 409);
    assert.equal((await call('POST', `/admin/users?${new URLSearchParams(ANA)}`,
      { body: { email: 'x@y' } })).status, 400);
    assert.equal((await create({ ...ANA, email: 'b@demo.example', status: '2' })).status, 400);
    assert.equal((await create({ ...ANA, email: 'b@demo.example', subject: '' })).status, 400);
  });

  it('change their status or their number of projects, one at a time', async (test) => {
    const { call, create } = await started(test);
    await create(ANA);
    const [{ id }] = (await call('GET', '/admin/users')).json.items;

    assert.equal((await call('PUT', `/admin/users/${id}`, { body: { status: 3 } })).json.status, 3);
    assert.equal(
      (await call('PUT', `/admin/users/${id}`, { body: { maxNumProjects: 0 } })).json.maxNumProjects, 0);
    for (const body of [{ status: 9 }, { status: 2, maxNumProjects: 1 }, { email: 'x' }, {}])
      assert.equal((await call('PUT', `/admin/users/${id}`, { body })).status, 400);
    assert.equal((await call('PUT', `/admin/users/${id}`,
      { body: { status: 2 }, headers: { 'Content-Type': 'text/plain' } })).status, 415);
    assert.equal((await call('PUT', '/admin/users/1', { body: { status: 2 } })).status, 404);
  });
});

describe('projects', () => {
  it('show who made them only when asked to', async (test) => {
    const { call, create } = await started(test);
    await create(ANA);
    const order = { owner: 'ana@demo.example', projectName: 'churn', services: [] };

    assert.equal((await call('POST', '/admin/projects/createas', { body: order })).status, 201);
    assert.equal((await call('POST', '/admin/projects/createas', { body: order })).status, 409);

    const [plain] = (await call('GET', '/admin/projects')).json.items;
    assert.deepEqual(Object.keys(plain.creator), ['href']);
    const [expanded] = (await call('GET', '/admin/projects?expand=creator')).json.items;
    assert.equal(expanded.creator.email, 'ana@demo.example');
    assert.equal((await call('GET', '/admin/users')).json.items[0].numActiveProjects, 1);
  });

  it('take members once, in a role that there is', async (test) => {
    const { call, create, deployment } = await started(test);
    await create(ANA);
    await create({ ...ANA, email: 'ben@demo.example' });
    const { id } = deployment.addProject({ name: 'churn', owner: 'ana@demo.example' });
    const add = (email, role) =>
      call('POST', `/project/${id}/projectMembers/${email}`, { body: { projectTeam: role } });

    assert.equal((await add('ben@demo.example', 'Captain')).status, 400);
    assert.equal((await add('ben@demo.example', 'Data scientist')).status, 200);
    const again = await add('ben@demo.example', 'Data scientist');
    assert.match(again.json.errorMsg, /already/);
    assert.equal((await add('nobody@demo.example', 'Observer')).status, 404);
    assert.deepEqual(deployment.projects[0].members.map(({ role }) => role),
      ['Data owner', 'Data scientist']);
  });

  it('are left out of an empty list', async (test) => {
    const { call } = await started(test);

    const { json } = await call('GET', '/admin/projects?expand=creator');

    assert.deepEqual([json.count, json.items], [0, undefined]);
  });
});

describe('a fault', () => {
  it('meets one request, before or after it has had its effect', async (test) => {
    const { create, call, deployment, fail } = await started(test);
    await fail({ kind: 'reset' }, { kind: 'reset-after', match: 'POST' },
      { kind: 'status', status: 429, retryAfter: 3 });

    await assert.rejects(create(ANA));
    assert.equal(deployment.users.length, 0);
    await assert.rejects(create(ANA));
    assert.equal(deployment.users.length, 1);
    const limited = await call('GET', '/admin/users');
    assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '3']);
    assert.equal((await call('GET', '/admin/users')).status, 200);
  });

  it('may be an answer that is no JSON, or says that there is nothing', async (test) => {
    const { call, create, fail } = await started(test);
    await create(ANA);
    await fail({ kind: 'garbage' }, { kind: 'empty' });

    assert.equal((await call('GET', '/admin/users')).json, null);
    assert.deepEqual((await call('GET', '/admin/users')).json, { count: 0 });
  });
});

it('speaks TLS with a certificate that nobody trusts', async (test) => {
  const state = temporaryDirectory(test);
  const { url, apiKey } = await started(test, { state, tls: true });
  const path = `${url}/hopsworks-api/api/admin/users`;
  const headers = { authorization: `ApiKey ${apiKey}` };

  await assert.rejects(request(path, { headers }));
  assert.equal((await request(path, { headers, rejectUnauthorized: false })).status, 200);
});

it('keeps key and data over a restart', async (test) => {
  const state = temporaryDirectory(test);
  const first = await startHopsworks({ state });
  first.deployment.addUser({ email: 'ana@demo.example', firstname: 'Ana', lastname: 'Alves' });
  await first.close();

  const second = await startHopsworks({ state });
  test.after(() => second.close());

  assert.ok(existsSync(`${state}/api-key`));
  assert.equal(second.apiKey, first.apiKey);
  assert.equal(second.deployment.users[0].email, 'ana@demo.example');
});

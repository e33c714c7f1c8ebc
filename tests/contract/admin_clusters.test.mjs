import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, startCompany } from './harness.mjs';

const MISSING = 'clu_01ARZ3NDEKTSV4RRFFQ69G5FAV';
let company, service, standIn, token;
before(async () => {
  company = await startCompany({
    env: { BINNACLE_RATE_LIMIT_SCALE: '100' }, standIn: ['--namespaces', 'analytics'],
  });
  ({ service, standIn, admin: token } = company);
});
after(() => company?.stop());

const send = (method, path, body) => service.call(method, `/api/admin/${path}`, { token, body });
const add = (body) => send('POST', 'clusters', body);
const put = (body) => send('PUT', 'clusters', body);
const uploaded = (body) => send('POST', 'clusters/update-kubeconfig', body);
const tested = (body) => send('POST', 'test-opencost', body);
const list = async () => expect(await send('GET', 'clusters'), 200).json.clusters;
let names = 0;
const fresh = async (more = {}) => expect(await add({
  name: `cluster-${++names}`, api_url: 'https://hopsworks.example.com', ...more,
}), 201).json.cluster;

test('a new cluster is created with sensible defaults', async () => {
  const answer = expect(await add({ name: 'Zürich/1', api_url: 'https://zurich.example.com' }), 201);
  assert.equal(answer.headers['cache-control'], 'no-store');
  const { cluster } = answer.json;
  assert.match(cluster.id, /^clu_/);
  assert.deepEqual({ ...cluster, id: 0, created_at: 0, updated_at: 0 }, {
    id: 0, name: 'Zürich/1', api_url: 'https://zurich.example.com', max_users: 100,
    current_users: 0, status: 'active', region: '', verify_tls: true, has_api_key: false, has_kubeconfig: false,
    created_at: 0, updated_at: 0,
  });
  assert.deepEqual((await list()).find((c) => c.id === cluster.id), cluster);
});

test('credentials go in, and never come out', async () => {
  const cluster = await fresh({ api_key: 'very-secret-key', kubeconfig: standIn.kubeconfig });
  assert.deepEqual([cluster.has_api_key, cluster.has_kubeconfig], [true, true]);
  const bearer = /token: "(\w+)"/.exec(standIn.kubeconfig)[1];
  const said = JSON.stringify(await list()) + JSON.stringify(cluster);
  const stored = service.sql('SELECT row_to_json(c) FROM clusters c').join('\n');
  const audited = service.sql('SELECT detail FROM audit_log').join('\n');
  for (const text of [said, stored, audited, service.output])
    for (const word of ['very-secret-key', bearer, 'certificate-authority-data'])
      assert.ok(!text.includes(word), word);
  assert.ok(!/sealed|mysql/.test(said));
});

const good = { name: 'good', api_url: 'https://good.example.com' };
for (const [what, body, field] of [
  ['no name', { api_url: good.api_url }, 'name'],
  ['an empty name', { ...good, name: '' }, 'name'],
  ['no address', { name: 'x' }, 'api_url'],
  ['a name that is no text', { ...good, name: 5 }, 'name'],
  ['a name of 101 letters', { ...good, name: 'x'.repeat(101) }, 'name'],
  ['an address that is none', { ...good, api_url: 'good.example.com' }, 'api_url'],
  ['an address of another scheme', { ...good, api_url: 'ftp://good.example.com' }, 'api_url'],
  ['an address with a password', { ...good, api_url: 'https://user:secret@good.example.com' }, 'api_url'],
  ['an address with a fragment', { ...good, api_url: 'https://good.example.com/#x' }, 'api_url'],
  ['an address without a host', { ...good, api_url: 'https://:443/' }, 'api_url'],
  ['an address that is only a query', { ...good, api_url: 'https://?x' }, 'api_url'],
  ['an address with a line break', { ...good, api_url: 'https://good.example.com/\n' }, 'api_url'],
  ['a negative number of users', { ...good, max_users: -1 }, 'max_users'],
  ['half a user', { ...good, max_users: 1.5 }, 'max_users'],
  ['a text for a number', { ...good, max_users: '100' }, 'max_users'],
  ['an unknown status', { ...good, status: 'retired' }, 'status'],
  ['a name with a NUL', { ...good, name: 'a\0b' }, 'name'],
]) {
  test(`a cluster with ${what} is refused`, async () => {
    const body400 = expect(await add(body), 400).json;
    assert.equal(body400.details, field);
    assert.equal(typeof body400.error, 'string');
  });
}

test('a body that is no object is refused, and one that is no JSON', async () => {
  for (const body of ['{', '[]', 'null', '"x"', '']) expect(await add(body), 400);
  expect(await service.call('POST', '/api/admin/clusters',
    { token, body: 'name=x', headers: { 'Content-Type': 'text/plain' } }), 415);
});

test('a name is given once', async () => {
  const first = await fresh({ name: 'unique' });
  expect(await add({ name: 'unique', api_url: 'https://b.example.com' }), 409);
  const other = await fresh();
  expect(await put({ id: other.id, name: 'unique' }), 409);
  expect(await put({ id: first.id, name: 'unique' }), 200);
});

test('a change concerns the named columns only', async () => {
  const made = await fresh({ max_users: 7, region: 'eu' });
  const { cluster } = expect(await put({ id: made.id, status: 'maintenance', max_users: 0 }), 200).json;
  assert.deepEqual({ ...cluster, updated_at: 0 },
    { ...made, status: 'maintenance', max_users: 0, updated_at: 0 });
  assert.ok(cluster.updated_at >= made.updated_at);
});

test('a column that nobody may change stays', async () => {
  const made = await fresh();
  const { cluster } = expect(await put({
    id: made.id, current_users: 99, created_at: '2000-01-01', kubeconfig_sealed: 'x', region: 'eu',
  }), 200).json;
  assert.deepEqual([cluster.current_users, cluster.created_at, cluster.has_kubeconfig],
    [0, made.created_at, false]);
});

test('only an existing cluster can be changed', async () => {
  expect(await put({ id: MISSING, name: 'x' }), 404, { error: 'Cluster not found' });
  expect(await put({ name: 'x' }), 400);
  expect(await put({ id: 'x\u0000y' }), 400);
});

test('the number of users is counted live', async () => {
  const made = await fresh();
  await service.token('counted@example.com');
  await service.project('counted@example.com', made.name, 'counted');
  assert.equal((await list()).find((c) => c.id === made.id).current_users, 1);
});

// -- update-kubeconfig ------------------------------------------------------------------------------

test('a kubeconfig can be uploaded later', async () => {
  const made = await fresh();
  const answer = expect(await uploaded({ clusterId: made.id, kubeconfig: standIn.kubeconfig }), 200);
  assert.deepEqual(Object.keys(answer.json), ['success', 'cluster', 'message']);
  assert.equal(answer.json.success, true);
  assert.equal(answer.json.cluster.has_kubeconfig, true);
});

test('an upload needs a cluster and a kubeconfig', async () => {
  expect(await uploaded({}), 400);
  expect(await uploaded({ clusterId: company.cluster }), 400);
  expect(await uploaded({ kubeconfig: standIn.kubeconfig }), 400);
  expect(await uploaded({ clusterId: MISSING, kubeconfig: standIn.kubeconfig }), 404,
    { error: 'Cluster not found' });
});

const spoil = (from, to) => (yaml) => {
  const spoilt = yaml.replace(from, to);
  assert.notEqual(spoilt, yaml);
  return spoilt;
};
for (const [what, change, word] of [
  ['that is no YAML', () => 'a: [', /YAML/],
  ['that is empty', () => '', /kubeconfig/i],
  ['that is a text', () => 'just words', /./],
  ['that runs a program', spoil(/token: .*/, 'exec: {command: aws}'), /exec/],
  ['with an auth plugin', spoil(/token: .*/, 'auth-provider: {name: gcp}'), /auth-provider/],
  ['that reads a token file', spoil(/token: .*/, 'tokenFile: /etc/shadow'), /tokenFile/],
  ['that reads a CA file', spoil(/certificate-authority-data: .*/, 'certificate-authority: /etc/ca'),
    /certificate-authority/],
  ['with anchors', spoil('kind: Config', 'kind: &k Config'), /anchor/],
  ['of several documents', (yaml) => `${yaml}---\n${yaml}`, /document/],
  ['without its context', spoil(/current-context: .*/, 'current-context: elsewhere'), /elsewhere/],
  ['nested very deeply', (yaml) => `${yaml}extra: ${'['.repeat(60)}${']'.repeat(60)}\n`, /nested/],
  ['larger than 256 KiB', (yaml) => `${yaml}# ${'x'.repeat(256 * 1024)}\n`, /./],
]) {
  test(`a kubeconfig ${what} is refused with a reason`, async () => {
    const { error } = expect(await uploaded(
      { clusterId: company.cluster, kubeconfig: change(standIn.kubeconfig) }), 400).json;
    assert.match(error, word);
    expect(await tested({ clusterId: company.cluster }), 200); // the old one is still there
  });
}

// -- test-opencost ----------------------------------------------------------------------------------

test('a good connection shows what it found', async () => {
  const body = expect(await tested({ clusterId: company.cluster }), 200).json;
  assert.deepEqual(Object.keys(body),
    ['success', 'connected', 'cluster', 'namespaces', 'hourlyTotalCost', 'message']);
  assert.deepEqual([body.success, body.connected, body.cluster, body.namespaces],
    [true, true, 'alpha', 1]);
  assert.ok(body.hourlyTotalCost > 0);
});

test('a client certificate works as well as a token', async () => {
  const { id } = await fresh({ kubeconfig: standIn.certificateKubeconfig });
  assert.equal(expect(await tested({ clusterId: id }), 200).json.connected, true);
});

test('a connection that cannot be had is 200 with the reason', async () => {
  const failed = async (clusterId) => {
    const body = expect(await tested({ clusterId }), 200).json;
    assert.deepEqual(Object.keys(body), ['success', 'connected', 'cluster', 'error', 'message']);
    assert.deepEqual([body.success, body.connected], [false, false]);
    return body.error;
  };
  for (const fault of [{ kind: 'status', status: 500 }, { kind: 'reset' }, { kind: 'garbage' },
    { kind: 'truncate' }, { kind: 'error-envelope', message: 'no data' }]) {
    await standIn.recover();
    await standIn.fail({ ...fault, times: 20 });
    assert.ok(await failed(company.cluster), fault.kind);
  }
  await standIn.recover();
  const stranger = await fresh({
    kubeconfig: standIn.kubeconfig.replace(/token: .*/, 'token: wrong-token-xyz'),
  });
  const reason = await failed(stranger.id);
  assert.match(reason, /token/);
  assert.doesNotMatch(reason, /wrong-token-xyz/);
});

test('a server that another CA vouches for is not trusted', async () => {
  const other = await fresh({
    kubeconfig: standIn.kubeconfig.replace(/ *certificate-authority-data: .*\n/, ''),
  });
  const body = expect(await tested({ clusterId: other.id }), 200).json;
  assert.equal(body.connected, false);
});

test('a test needs a cluster with a kubeconfig', async () => {
  assert.equal(expect(await tested({}), 400).json.error, 'Cluster ID required');
  assert.equal(expect(await tested({ clusterId: '' }), 400).json.error, 'Cluster ID required');
  const missing = { error: 'Cluster not found or missing kubeconfig' };
  expect(await tested({ clusterId: MISSING }), 404, missing);
  expect(await tested({ clusterId: (await fresh()).id }), 404, missing);
});

// -- who may ----------------------------------------------------------------------------------------

test('strangers and users are turned away before the method is looked at', async () => {
  const user = await service.token('user@example.com');
  for (const [method, path] of [['GET', 'clusters'], ['POST', 'clusters'], ['PUT', 'clusters'],
    ['DELETE', 'clusters'], ['POST', 'clusters/update-kubeconfig'],
    ['GET', 'clusters/update-kubeconfig']]) {
    expect(await service.call(method, `/api/admin/${path}`), 401, { error: 'Unauthorized' });
    expect(await service.call(method, `/api/admin/${path}`, { token: user }), 403,
      { error: 'Forbidden' });
  }
  expect(await service.call('POST', '/api/admin/test-opencost'), 401,
    { error: 'Not authenticated' });
  expect(await service.call('POST', '/api/admin/test-opencost', { token: user }), 403,
    { error: 'Admin access required' });
});

test('an admin is told which methods there are', async () => {
  const answer = expect(await send('DELETE', 'clusters'), 405, { error: 'Method not allowed' });
  assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS, POST, PUT');
  expect(await send('GET', 'test-opencost'), 405, { error: 'Method not allowed' });
});

test('every change is in the audit log, by name and without values', () => {
  const rows = service.sql(`SELECT DISTINCT action FROM audit_log WHERE actor IS NOT NULL ORDER BY 1`).flat();
  for (const action of ['CLUSTER_CREATED', 'CLUSTER_UPDATED', 'CLUSTER_KUBECONFIG_UPDATED'])
    assert.ok(rows.includes(action), action);
});

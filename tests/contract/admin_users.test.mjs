/// /api/admin/users: everybody, with cost, projects and cluster, and nothing that is secret.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HOUR, PASSWORD, expect, iso, startCompany, startOfHour, subjectOf } from './harness.mjs';

let company, service, admin, ana, ben;
before(async () => {
  company = await startCompany({
    env: { BINNACLE_RATE_LIMIT_SCALE: '1000', BINNACLE_COLLECTOR_BACKFILL_HOURS: '1' },
    standIn: ['--namespaces', 'analytics,forecast'],
  });
  ({ service, admin } = company);
  ana = await service.user('ana', { email: 'ana@example.com' });
  ben = subjectOf(await service.token('ben@example.com'));
  await service.project('ana@example.com', 'alpha', 'analytics', 'Analytics');
});
after(() => company?.stop());

const send = (method, body, more = {}) =>
  service.call(method, '/api/admin/users', { token: admin, body, ...more });
const list = async (query = '') =>
  expect(await service.call('GET', `/api/admin/users${query}`, { token: admin }), 200).json;
const find = async (id) => (await list()).users.find((user) => user.id === id);

test('everybody is listed, the newest first', async () => {
  const { users, nextCursor } = await list();
  assert.deepEqual(users.map(({ id }) => id), [ben, ana, subjectOf(admin)]);
  assert.equal(nextCursor, undefined);
});

test('a user is shown with all that is known, and without a secret', async () => {
  await service.call('POST', '/api/auth/login', { body: { username: 'ana', password: PASSWORD } });
  const user = await find(ana);
  assert.deepEqual(Object.keys(user), ['id', 'username', 'email', 'name', 'status', 'is_admin', 'plan',
    'account_owner_id', 'billing_mode', 'feature_flags', 'metadata', 'registration_ip', 'login_count',
    'last_login_at', 'created_at', 'updated_at', 'stripe_customer_id', 'stripe_subscription_id',
    'stripe_subscription_status', 'user_hopsworks_assignments', 'last_24h_cost', 'projects',
    'active_namespaces']);
  assert.deepEqual([user.username, user.email, user.login_count, user.is_admin],
    ['ana', 'ana@example.com', 1, false]);
  const text = (await service.call('GET', '/api/admin/users', { token: admin })).text;
  assert.ok(!/argon2|hash|session|password/i.test(text));
});

test('cluster, projects and what they have cost since yesterday', async () => {
  expect(await service.call('POST', '/api/admin/usage/collect', { token: admin,
    body: { from: iso(startOfHour() - HOUR), to: iso(startOfHour()) } }), 200);
  const user = await find(ana);
  assert.equal(user.user_hopsworks_assignments.length, 1);
  assert.equal(user.user_hopsworks_assignments[0].cluster_name, 'alpha');
  assert.deepEqual(user.active_namespaces, ['analytics']);
  const [project] = user.projects;
  assert.deepEqual([project.namespace, project.name, project.is_owner], ['analytics', 'Analytics', true]);
  assert.ok(project.total_cost > 0 && project.cpu_hours > 0);
  assert.equal(user.last_24h_cost, project.total_cost);
  const other = await find(ben);
  assert.deepEqual([other.projects, other.active_namespaces, other.last_24h_cost,
    other.user_hopsworks_assignments], [[], [], 0, []]);
});

test('pages lead through everybody', async () => {
  const first = await list('?limit=2');
  assert.deepEqual(first.users.map(({ id }) => id), [ben, ana]);
  const second = await list(`?limit=2&cursor=${first.nextCursor}`);
  assert.deepEqual(second.users.map(({ id }) => id), [subjectOf(admin)]);
  assert.equal(second.nextCursor, null);
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=usr_nobody', 'cursor=%ff', 'cursor=%'])
    expect(await service.call('GET', `/api/admin/users?${query}`, { token: admin }), 400);
});

test('a user is put on a cluster by hand, and taken off again', async () => {
  const put = expect(await send('POST', { userId: ben, clusterId: 'ignored' }), 200).json;
  assert.equal(put.success, true);
  assert.ok(put.message.includes(company.cluster));
  expect(await send('POST', { userId: ben }), 200); // the same again
  assert.equal((await find(ben)).user_hopsworks_assignments[0].hopsworks_cluster_id, company.cluster);
  const count = async () => expect(await service.call('GET', '/api/admin/clusters', { token: admin }), 200)
    .json.clusters[0].current_users;
  const before = await count();
  expect(await send('DELETE', { userId: ben, clusterId: 'clu_other' }), 200, { success: true });
  assert.equal(await count(), before);
  expect(await send('DELETE', { userId: ben, clusterId: company.cluster }), 200, { success: true });
  expect(await send('DELETE', { userId: ben, clusterId: company.cluster }), 200, { success: true });
  assert.equal(await count(), before - 1);
});

test('without room there is no assignment', async () => {
  service.sql(`UPDATE clusters SET max_users = 0`);
  expect(await send('POST', { userId: ben }), 400, { error: 'No available clusters with capacity' });
  service.sql(`UPDATE clusters SET max_users = 100`);
});

test('what is missing or unknown is said', async () => {
  assert.match(expect(await send('POST', {}), 400).json.error, /userId/);
  assert.match(expect(await send('DELETE', { userId: ben }), 400).json.error, /clusterId/);
  expect(await send('POST', { userId: 'usr_nobody' }), 404, { error: 'User not found' });
  expect(await send('PATCH', {}), 405, { error: 'Method not allowed' });
  expect(await service.call('PATCH', '/api/admin/users', { body: {} }), 401, { error: 'Unauthorized' });
});

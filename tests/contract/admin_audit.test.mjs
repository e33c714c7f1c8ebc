/// GET /api/admin/audit: who did what; and that whatever an admin does is in it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, startService, subjectOf, until } from './harness.mjs';

let service, admin;
before(async () => {
  service = await startService({ env: { BINNACLE_RATE_LIMIT_SCALE: '1000' } });
  admin = await service.adminToken();
});
after(() => service?.stop());

const audit = async (query = '') => {
  // A row shows when nothing that was written with it is still under way.
  await until('nobody writes', () => service.sql(
    'SELECT pg_snapshot_xmin(s) = pg_snapshot_xmax(s) FROM pg_current_snapshot() s')[0][0] === 't');
  return service.call('GET', `/api/admin/audit${query}`, { token: admin });
};
const entries = async (query) => expect(await audit(query), 200).json.entries;
const actions = async (query) => (await entries(query)).map(({ action }) => action);
const post = (path, body, method = 'POST') => service.call(method, path, { token: admin, body });

test('every act of an admin, every credential and every login is in it', async () => {
  const me = subjectOf(admin);
  const { cluster } = expect(await post('/api/admin/clusters',
    { name: 'alpha', api_url: 'https://hopsworks.example.com' }), 201).json;
  expect(await post('/api/admin/clusters', { id: cluster.id, max_users: 5 }, 'PUT'), 200);
  const ada = await service.user('ada', { email: 'ada@example.com', admin: true });
  await service.user('ben');
  for (let twice = 0; twice < 2; ++twice) expect(await post('/api/admin/users', { userId: ada }), 200);
  expect(await post('/api/admin/users', { userId: ada, clusterId: cluster.id }, 'DELETE'), 200);
  expect(await post('/api/admin/billing', { action: 'enable_prepaid', userId: ada }), 200);
  const browser = service.browser();
  expect(await browser.call('POST', '/api/auth/login', { body: { username: 'ada', password: PASSWORD } }), 200);
  expect(await browser.call('POST', '/api/auth/change-password',
    { body: { currentPassword: PASSWORD, newPassword: 'another password' } }), 200);
  assert.deepEqual((await actions()).reverse(), [
    'USER_CREATED', 'TOKEN_ISSUED', 'CLUSTER_CREATED', 'CLUSTER_UPDATED', 'USER_CREATED', 'USER_CREATED',
    'USER_ASSIGNED', 'USER_UNASSIGNED', 'PREPAID_ENABLED', 'USER_LOGIN', 'PASSWORD_CHANGED']);
  const [created] = (await entries('?action=CLUSTER_CREATED'));
  assert.deepEqual([created.actor, created.target, created.address], [me, cluster.id, '127.0.0.1']);
  assert.match(created.id, /^\d+$/);
  assert.match(created.at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(typeof created.detail, 'object');
  const [assigned] = await entries('?action=USER_ASSIGNED');
  assert.deepEqual([assigned.target, assigned.detail], [ada, { cluster: cluster.id }]);
  const text = (await audit()).text;
  for (const secret of [PASSWORD, 'another password', admin]) assert.ok(!text.includes(secret));
});

test('it can be asked for one actor and one kind of act', async () => {
  const [{ actor }] = await entries('?action=USER_LOGIN');
  assert.deepEqual(await actions(`?actor=${actor}`), ['PASSWORD_CHANGED', 'USER_LOGIN']);
  assert.deepEqual(await actions(`?actor=${actor}&action=USER_LOGIN`), ['USER_LOGIN']);
  assert.deepEqual(await actions('?actor=usr_nobody'), []);
});

test('pages lead through all of it, whatever is added meanwhile', async () => {
  const all = (await entries()).map(({ id }) => id);
  const seen = [];
  for (let cursor = ''; ;) {
    const page = expect(await audit(`?limit=3${cursor}`), 200).json;
    seen.push(...page.entries.map(({ id }) => id));
    expect(await post('/api/admin/clusters',
      { name: `meanwhile-${seen.length}`, api_url: 'https://hopsworks.example.com' }), 201);
    if (page.nextCursor === null) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  assert.deepEqual(seen, all);
});

test('a time has a beginning and an end', async () => {
  service.sql(`INSERT INTO audit_log (at, action) VALUES
    ('2020-01-01T00:00:00Z', 'OLD_A'), ('2020-01-02T00:00:00Z', 'OLD_B'), ('2020-01-03T00:00:00Z', 'OLD_C')`);
  assert.deepEqual(await actions('?to=2021-01-01'), ['OLD_C', 'OLD_B', 'OLD_A']);
  assert.deepEqual(await actions('?from=2020-01-02&to=2020-01-03'), ['OLD_B']);
  assert.deepEqual(await actions('?from=2020-01-01T00:00:01Z&to=2020-01-03T00:00:00.001Z'), ['OLD_C', 'OLD_B']);
  const [old] = await entries('?action=OLD_A');
  assert.deepEqual([old.actor, old.target, old.detail, old.address], [null, null, {}, null]);
});

test('as CSV it opens in a spreadsheet, formulas defused', async () => {
  service.sql(`INSERT INTO audit_log (at, action, target, detail) VALUES
    ('2019-01-01T00:00:00Z', 'CSV', '=HYPERLINK("x")', '{"a": 1}')`);
  const answer = expect(await audit('?format=csv&action=CSV'), 200);
  assert.equal(answer.headers['content-type'], 'text/csv; charset=utf-8');
  assert.match(answer.headers['content-disposition'], /filename="audit.csv"/);
  const [heading, row] = answer.text.split('\r\n');
  assert.equal(heading, 'id,at,actor,action,target,detail,address');
  assert.match(row, /^\d+,2019-01-01T00:00:00\.000Z,,CSV,"'=HYPERLINK\(""x""\)","\{""a"": 1\}",$/);
  const page = expect(await audit('?format=csv&limit=1'), 200);
  assert.match(page.headers['x-next-cursor'], /^\d+$/);
});

for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'cursor=-1', 'from=yesterday',
  'to=2020-13-01', 'format=xml']) {
  test(`?${query} is refused`, async () => {
    const { error, details } = expect(await audit(`?${query}`), 400).json;
    assert.equal(details, query.split('=')[0]);
    assert.ok(error.includes(details));
  });
}

test('it is for admins', async () => {
  expect(await service.call('GET', '/api/admin/audit'), 401, { error: 'Unauthorized' });
  const token = await service.token('user@example.com');
  expect(await service.call('GET', '/api/admin/audit', { token }), 403, { error: 'Forbidden' });
  expect(await service.call('POST', '/api/admin/audit', { token: admin, body: {} }), 405);
});

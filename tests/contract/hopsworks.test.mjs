/// Hopsworks: own data, accounts, roles, the sync of projects (platform.md §2, §4 to §7).
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { HOUR, awayFromTheHour, expect, iso, startCompany, startOfHour, until } from './harness.mjs';
import { addCluster, addUser, allInLine, assignUser, inLine, startStandIn } from './hopsworks.mjs';

const SECRET = 'cron-secret-of-the-projects';
const cron = { headers: { Authorization: `Bearer ${SECRET}` } };
const INFO = '/api/user/hopsworks-info';
let company, service, admin, hopsworks, cluster, ana;
const people = {}; // by name: whoever needs nothing else before; made at once, as each waits for Hopsworks
const troubles = [
  ['fails', [{ kind: 'status', status: 500, times: 99 }]],
  ['asks for patience', [{ kind: 'status', status: 429, retryAfter: 3_600, times: 99 }]],
  ['answers nonsense', [{ kind: 'garbage', times: 99 }]],
  ['says that there is nothing where there was something', [{ kind: 'empty', times: 99 }]],
  ['breaks off', [{ kind: 'truncate', times: 99 }]],
  ['closes the connection', [{ kind: 'reset', times: 99 }]],
  ['does not answer', [{ kind: 'hang', times: 99 }]],
];
const wordOf = (trouble) => trouble.replaceAll(' ', '-');

before(async () => {
  await awayFromTheHour();
  hopsworks = await startStandIn();
  company = await startCompany({
    env: { CRON_SECRET: SECRET, BINNACLE_RATE_LIMIT_SCALE: '1000',
      BINNACLE_COLLECTOR_BACKFILL_HOURS: '1', BINNACLE_HTTP_REQUEST_TIMEOUT: '6s' },
    standIn: ['--namespaces', 'churn-modeling,orphan'],
  });
  ({ service, admin } = company);
  // Both: usage from OpenCost, projects from Hopsworks.
  cluster = company.cluster;
  await service.call('PUT', '/api/admin/clusters', { token: admin, body: { id: cluster,
    api_url: `${hopsworks.server.url}/hopsworks-api/api/`, api_key: hopsworks.server.apiKey } });
  ana = await addUser(service, cluster, 'ana@example.com');
  const enrol = async (name, where, more) => {
    people[name] = await assignUser(service, await where, `${name}@example.com`, more);
  };
  await Promise.all([
    enrol('free', cluster, { billingMode: 'postpaid' }), enrol('member', cluster, { owner: ana.id }),
    ...['gone', 'paul', 'late', 'named', 'owner', 'builder', 'usage'].map((name) => enrol(name, cluster)),
    ...['deaf', ...troubles.map(([what]) => wordOf(what))].map((name) => enrol(name, alone(name))),
  ]);
  await allInLine(service);
});
beforeEach(() => hopsworks.recover());
after(() => Promise.all([company?.stop(), hopsworks?.close()]));

const info = (who) => service.call('GET', INFO, { token: who.token });
const projectsOf = (id) => service.sql(`SELECT namespace, name, upstream_id, status
  FROM user_projects WHERE user_id = '${id}' ORDER BY 1`);
const sync = () => service.call('POST', '/api/cron/sync-projects', cron);
/// A cluster of one's own, so that no other test's circuit is open.
const alone = (name, more) => addCluster(service, admin, hopsworks, name, more);

// -- GET /api/user/hopsworks-info -----------------------------------------------------------------

test('without a cluster there is nothing to show', async () => {
  const token = await service.token('nobody@example.com');
  expect(await info({ token }), 200,
    { hasCluster: false, message: 'No Hopsworks cluster assigned' });
});

test('the method is checked, and the credential', async () => {
  expect(await service.call('GET', INFO), 401, { error: 'Not authenticated' });
  const answer = expect(await service.call('POST', INFO, { token: ana.token }), 405,
    { error: 'Method not allowed' });
  assert.match(answer.headers.allow, /GET/);
});

test('who is put on a cluster gets an account there, with projects if they pay', async () => {
  const { username, ...made } = hopsworks.user('ana@example.com');
  assert.deepEqual([made.accountType, made.status, made.maxNumProjects],
    ['REMOTE_ACCOUNT_TYPE', 2, 5]);

  const body = expect(await info(ana), 200).json;

  assert.deepEqual(body, {
    hasCluster: true, clusterName: 'alpha', clusterEndpoint: hopsworks.server.url,
    hasHopsworksUser: true,
    hopsworksUser: { username, email: 'ana@example.com', accountType: 'REMOTE_ACCOUNT_TYPE',
      status: 2, maxNumProjects: 5, numActiveProjects: 0, activated: made.activated },
    projects: [],
  });
});

test('an owner who pays nothing and a team member get no projects of their own', async () => {
  const { free, member } = people;
  assert.equal(hopsworks.user(free.email).maxNumProjects, 0);
  assert.equal(hopsworks.user(member.email).maxNumProjects, 0);

  service.sql(`INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at,
    updated_at) VALUES ('sub_free', '${free.id}', 'cus_1', 'usage', 'active', now(), now(), now())`);
  await inLine(service, free.id);
  assert.equal(hopsworks.user(free.email).maxNumProjects, 5);
});

test('an account that is there is taken, whatever the case of its address', async () => {
  const there = hopsworks.deployment.addUser({ email: 'Old@Example.com', firstname: 'O',
    lastname: 'ld', maxNumProjects: 10, accountType: 'OAUTH2' });
  const old = await addUser(service, cluster, 'old@example.com');
  const [row] = service.sql(`SELECT hopsworks_user_id, hopsworks_username
    FROM user_hopsworks_assignments WHERE user_id = '${old.id}'`);
  assert.deepEqual(row, [String(there.id), there.username]);
  assert.equal(hopsworks.user('Old@Example.com').maxNumProjects, 10); // more than ours stays
});

test('who is not known at Hopsworks is told so', async () => {
  const { gone } = people;
  hopsworks.deployment.changeUser(hopsworks.user(gone.email).id, { accountType: 'M_ACCOUNT_TYPE' });
  const user = hopsworks.deployment.findByEmail(gone.email);
  user.id = 999_999; // and under its old number there is nobody
  expect(await info(gone), 200, { hasCluster: true, clusterName: 'alpha', hasHopsworksUser: false,
    message: 'User not found in Hopsworks' });
  user.email = 'was-gone@example.com';
});

test('projects come from Hopsworks once, and then from what is known of them', async () => {
  const { paul } = people;
  const { id, created } = hopsworks.deployment.addProject({ name: 'Vision_Lab', owner: paul.email });
  const { username } = hopsworks.user(paul.email);

  const first = expect(await info(paul), 200).json;
  assert.deepEqual(first.projects, [{ id, name: 'Vision_Lab', owner: username, created }]);
  assert.deepEqual(projectsOf(paul.id), [['vision-lab', 'Vision_Lab', String(id), 'active']]);

  await hopsworks.forget();
  const second = expect(await info(paul), 200).json;
  assert.deepEqual(second.projects.map(({ created: _, ...rest }) => rest),
    [{ id, name: 'Vision_Lab', owner: username }]);
  assert.deepEqual(await hopsworks.requests(), [`GET /admin/users/${hopsworks.user(paul.email).id}`]);
});

for (const [name, faults] of troubles) {
  test(`a Hopsworks that ${name} degrades the answer, not the route`, async () => {
    const word = wordOf(name);
    const who = people[word];
    await hopsworks.fail(...faults.map((fault) => ({ ...fault, match: '/admin/' })));
    expect(await info(who), 200,
      { hasCluster: true, clusterName: word, error: 'Failed to fetch Hopsworks data' });
    await hopsworks.recover();
  });
}

test('a cluster without an API key degrades the answer too', async () => {
  const made = expect(await service.call('POST', '/api/admin/clusters', { token: admin,
    body: { name: 'keyless', api_url: hopsworks.server.url } }), 201).json.cluster;
  const token = await service.token('keyless@example.com');
  service.sql(`INSERT INTO user_hopsworks_assignments (user_id, cluster_id, assigned_at)
    SELECT id, '${made.id}', now() FROM users WHERE email = 'keyless@example.com'`);
  expect(await info({ token }), 200,
    { hasCluster: true, clusterName: 'keyless', error: 'Failed to fetch Hopsworks data' });
});

test('a certificate that nobody trusts is refused, unless the cluster says that it will do', async () => {
  const secure = await startStandIn({ state: mkdtempSync(join(tmpdir(), 'hopsworks-tls-')), tls: true });
  try {
    const id = await addCluster(service, admin, secure, 'self-signed');
    const token = await service.token('tls@example.com');
    service.sql(`INSERT INTO user_hopsworks_assignments (user_id, cluster_id, assigned_at)
      SELECT id, '${id}', now() FROM users WHERE email = 'tls@example.com'`);
    assert.equal(expect(await info({ token }), 200).json.error, 'Failed to fetch Hopsworks data');
    assert.equal(secure.deployment.users.length, 0);

    const changed = expect(await service.call('PUT', '/api/admin/clusters', { token: admin,
      body: { id, verify_tls: false } }), 200).json.cluster;
    assert.equal(changed.verify_tls, false);
    await until('the account is there', async () =>
      (await info({ token })).json.hasHopsworksUser, 90_000);
  } finally {
    await secure.close();
  }
});

// -- accounts --------------------------------------------------------------------------------------

test('an account whose making was answered by silence is made once', async () => {
  const where = await alone('silent');
  await hopsworks.fail({ kind: 'reset-after', match: 'POST /hopsworks-api/api/admin/users', times: 1 });
  const who = await addUser(service, where, 'silent@example.com');
  assert.equal(hopsworks.deployment.users.filter(({ email }) => email === who.email).length, 1);
  assert.equal(expect(await info(who), 200).json.hasHopsworksUser, true);
});

test('who is suspended is deactivated at Hopsworks, and who comes back is activated', async () => {
  const who = people.late;
  const status = () => hopsworks.user(who.email).status;

  service.changeUser(who.id, "status = 'suspended'");
  await inLine(service, who.id);
  assert.equal(status(), 3);
  service.changeUser(who.id, "status = 'active'");
  await inLine(service, who.id);
  assert.equal(status(), 2);

  hopsworks.deployment.changeUser(hopsworks.user(who.email).id, { status: 4 });
  service.changeUser(who.id, "status = 'suspended'");
  service.changeUser(who.id, "status = 'active'");
  await inLine(service, who.id);
  assert.equal(status(), 4, 'whom Hopsworks has blocked is not ours to let in');
});

test('what Hopsworks does not hear is noted, and told when it listens again', async () => {
  const who = people.deaf;
  const failures = () => service.sql(`SELECT check_type, resolved_at IS NULL
    FROM health_check_failures WHERE user_id = '${who.id}'`);
  await hopsworks.fail({ kind: 'status', status: 403, match: 'admin', times: 999 });
  service.changeUser(who.id, "status = 'suspended'");
  await until('somebody can see it', () => {
    // Nobody has to wait for the next attempt; one under way is left alone.
    service.sql(`UPDATE hopsworks_outbox SET next_attempt_at = now()
      WHERE user_id = '${who.id}' AND holder IS NULL`);
    return failures().length > 0;
  });
  assert.deepEqual(failures(), [['hopsworks_user', 't']]);

  await hopsworks.recover();
  service.sql(`UPDATE hopsworks_outbox SET next_attempt_at = now() WHERE user_id = '${who.id}'`);
  await inLine(service, who.id);
  assert.equal(hopsworks.user(who.email).status, 3);
  assert.deepEqual(failures(), [['hopsworks_user', 'f']]);
});

// -- POST /api/admin/sync-username -----------------------------------------------------------------

test('the name and number of an account are refreshed', async () => {
  const post = (body) => service.call('POST', '/api/admin/sync-username', { token: admin, body });
  const who = people.named;
  hopsworks.deployment.changeUser(hopsworks.user(who.email).id, { username: 'newname' });

  expect(await post({ userId: who.id }), 200,
    { success: true, username: 'newname', message: 'Username synced: newname' });

  assert.equal(service.sql(`SELECT hopsworks_username FROM user_hopsworks_assignments
    WHERE user_id = '${who.id}'`)[0][0], 'newname');
  expect(await post({}), 400);
  expect(await post({ userId: 'usr_nobody' }), 404, { error: 'User not found' });
  const [[loose]] = service.sql(`SELECT id FROM users WHERE email = 'nobody@example.com'`);
  expect(await post({ userId: loose }), 400, { error: 'User has no cluster assignment' });
  const [[unknown]] = service.sql(`SELECT user_id FROM user_hopsworks_assignments a
    JOIN users u ON u.id = a.user_id WHERE u.email = 'gone@example.com'`);
  expect(await post({ userId: unknown }), 404, { error: 'Hopsworks user not found' });
  await hopsworks.fail({ kind: 'status', status: 403, match: '/admin/' });
  const failed = expect(await post({ userId: who.id }), 500).json;
  assert.equal(failed.error, 'Failed to sync username');
});

// -- /api/admin/project-roles ----------------------------------------------------------------------

test('roles in projects are shown, given, and given for a whole team', async () => {
  const PATH = '/api/admin/project-roles';
  const { owner } = people;
  const member = await addUser(service, cluster, 'helper@example.com', { owner: owner.id });
  for (const name of ['fraud', 'forecast']) hopsworks.deployment.addProject({ name, owner: owner.email });
  const post = (body) => service.call('POST', PATH, { token: admin,
    body: { userId: member.id, projectName: 'fraud', role: 'Observer', action: 'add', ...body } });
  const get = (query) => service.call('GET', `${PATH}${query}`, { token: admin });
  const put = (body) => service.call('PUT', PATH, { token: admin, body });

  expect(await get(''), 400);
  expect(await get('?userId=usr_nobody'), 404, { error: 'User not found' });
  const [[loose]] = service.sql(`SELECT id FROM users WHERE email = 'nobody@example.com'`);
  expect(await get(`?userId=${loose}`), 400, { error: 'User has no Hopsworks username' });

  expect(await post({ role: undefined }), 400);
  expect(await post({ role: 'Captain' }), 400);
  expect(await post({ userId: 'usr_nobody' }), 404);
  expect(await post({ userId: loose }), 400, { error: 'User has no Hopsworks user ID' });
  expect(await post({ action: 'remove' }), 501);
  assert.equal(expect(await post({ action: 'dance' }), 400).json.error, 'Invalid action');
  expect(await post({ projectName: 'nothing' }), 404, { error: 'Project not found' });
  expect(await post({}), 200,
    { message: 'User added to project fraud as Observer', project: 'fraud', role: 'Observer' });
  expect(await post({}), 200); // who is in already is in

  expect(await put({ teamMemberId: member.id }), 400);
  expect(await put({ teamMemberId: member.id, ownerId: 'usr_nobody' }), 404);
  expect(await put({ teamMemberId: owner.id, ownerId: ana.id }), 400);
  expect(await put({ teamMemberId: member.id, ownerId: owner.id }), 200,
    { message: 'Added to 2 projects', addedToProjects: ['fraud', 'forecast'] });

  const { projects } = expect(await get(`?userId=${member.id}`), 200).json;
  assert.deepEqual(projects.map(({ name, role, isOwner, synced }) => [name, role, isOwner, synced]),
    [['forecast', 'Data scientist', false, true], ['fraud', 'Data scientist', false, true]]);
  assert.deepEqual(expect(await get(`?userId=${owner.id}`), 200).json.projects
    .map(({ name, isOwner }) => [name, isOwner]), [['fraud', true], ['forecast', true]]);

  await hopsworks.fail({ kind: 'status', status: 422, match: 'projectMembers' });
  const half = expect(await put({ teamMemberId: member.id, ownerId: owner.id }), 200).json;
  assert.equal(half.addedToProjects.length, 1);
  assert.equal(half.errors.length, 1);
});

// -- the sync of projects --------------------------------------------------------------------------

test('the sync takes over what appears, changes and vanishes, and is for the cron only', async () => {
  expect(await service.call('GET', '/api/cron/sync-projects'), 401, { error: 'Unauthorized' });
  const who = people.builder;
  const one = hopsworks.deployment.addProject({ name: 'one', owner: who.email });
  hopsworks.deployment.addProject({ name: 'Two_B', owner: who.email });

  const body = expect(await sync(), 200).json;
  assert.deepEqual(Object.keys(body), ['success', 'message', 'stats', 'totalProjects']);
  assert.deepEqual(Object.keys(body.stats), ['totalUsers', 'usersWithProjects', 'totalProjectsFound',
    'totalProjectsSynced', 'projectsDeactivated', 'errors', 'syncDuration']);
  assert.deepEqual(projectsOf(who.id).map(([namespace, , , status]) => [namespace, status]),
    [['one', 'active'], ['two-b', 'active']]);
  assert.equal(expect(await service.call('GET', '/api/usage', { token: who.token }), 200)
    .json.featureGroups, 2);

  hopsworks.deployment.removeProject(one.id);
  assert.equal(expect(await service.call('GET', '/api/cron/sync-projects', cron), 200)
    .json.stats.projectsDeactivated, 1);
  assert.deepEqual(projectsOf(who.id).map(([namespace, , , status]) => [namespace, status]),
    [['one', 'inactive'], ['two-b', 'active']]);
  await until('the summary follows', async () => (await service.call('GET', '/api/usage',
    { token: who.token })).json.featureGroups === 1);
});

test('an empty answer takes nothing away, and a failing cluster keeps what it has', async () => {
  const before = service.sql('SELECT * FROM user_projects WHERE status = \'active\' ORDER BY 1, 2, 3')
    .map((row) => row.slice(0, 4));
  assert.ok(before.length > 0);
  await hopsworks.fail({ kind: 'empty', match: '/admin/projects', times: 99 });
  const empty = expect(await sync(), 200).json;
  assert.match(empty.stats.errors.join(), /lists no projects; none was deactivated/);
  await hopsworks.recover();
  await hopsworks.fail({ kind: 'status', status: 403, match: '/admin/', times: 99 });
  const failed = expect(await sync(), 200).json;
  assert.equal(failed.success, false);
  assert.match(failed.stats.errors.join(), /rejected the API key/);
  assert.deepEqual(service.sql('SELECT * FROM user_projects WHERE status = \'active\' ORDER BY 1, 2, 3')
    .map((row) => row.slice(0, 4)), before);
});

test('usage of a namespace that is a project of somebody goes to them at once', async () => {
  const who = people.usage;
  hopsworks.deployment.addProject({ name: 'Churn_Modeling', owner: who.email });
  const hour = { from: iso(startOfHour() - HOUR), to: iso(startOfHour()) };
  const { results } = expect(await service.call('POST', '/api/admin/usage/collect',
    { token: admin, body: hour }), 200).json.result;
  assert.deepEqual(results.errors, ['Namespace orphan: No user mapping found']);
  assert.equal(results.namespaces[0].userId, who.id);
  assert.equal(results.namespaces[0].projectName, 'Churn_Modeling');
  assert.equal(service.sql(`SELECT count(*) FROM usage_hourly WHERE user_id = '${who.id}'`)[0][0], '1');
});

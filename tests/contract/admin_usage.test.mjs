import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  HOUR, assertClose, awayFromTheHour, decimalText, digits, expect, expectedUsage, iso, makeDirectory,
  startCompany, startOfDay, startOfHour, startService, subjectOf, sumOfUsage,
} from './harness.mjs';

let company, service, standIn, token, bob, now;
before(async () => {
  now = await awayFromTheHour();
  company = await startCompany({
    env: { BINNACLE_RATE_LIMIT_SCALE: '100' },
    standIn: ['--namespaces', 'analytics,recommender,orphan'],
  });
  ({ service, standIn, admin: token } = company);
  bob = await service.token('bob@example.com');
  await service.project('bob@example.com', 'alpha', 'analytics', 'churn-modeling');
  await service.project('bob@example.com', 'alpha', 'recommender');
});
after(() => company?.stop());

const get = (path, options) => service.call('GET', `/api/admin/${path}`, { token, ...options });
const collect = (body, options) =>
  service.call('POST', '/api/admin/usage/collect', { token, body, ...options });
const range = (hours) => ({ from: iso(now - hours * HOUR), to: iso(now) });

// -- collect ----------------------------------------------------------------------------------------

test('a dry run shows what would be booked and books nothing', async () => {
  const { message, result } = expect(await collect({ ...range(3), dryRun: true }), 200).json;
  assert.equal(message, 'OpenCost collection triggered successfully');
  assert.equal(result.dryRun, true);
  assert.equal(result.hours, 3);
  assert.equal(service.sql('SELECT count(*) FROM usage_hourly')[0][0], '0');
});

test('a collection of past hours books exactly what the clusters report', async () => {
  const answer = expect(await collect(range(5)), 200);
  assert.deepEqual(Object.keys(answer.json), ['message', 'result']);
  const { result } = answer.json;
  assert.equal(result.hours, 5);
  assert.equal(result.clustersProcessed, 1);
  assert.deepEqual([result.results.successful, result.results.failed], [2, 1]);
  assert.deepEqual(result.results.errors, ['Namespace orphan: No user mapping found']);
  const expected = expectedUsage(
    { namespaces: ['analytics', 'orphan', 'recommender'], from: now - 5 * HOUR, to: now });
  for (const { namespace, projectName, userId } of result.results.namespaces) {
    const text = answer.text.slice(answer.text.indexOf(`"namespace":"${namespace}"`));
    assertClose(digits(text, 'cpuHours'), expected[namespace].cpuCoreHours, 0, namespace);
    assertClose(digits(text, 'gpuHours'), expected[namespace].gpuHours, 0, namespace);
    assert.equal(userId, namespace === 'orphan' ? null : subjectOf(bob));
    assert.equal(projectName, namespace === 'analytics' ? 'churn-modeling' : namespace);
  }
});

test('hours that are there are not asked for again, unless wanted', async () => {
  assert.equal(expect(await collect(range(5)), 200).json.result.hours, 0);
  assert.equal(expect(await collect({ ...range(5), again: true }), 200).json.result.hours, 5);
  assert.equal(service.sql('SELECT count(*) FROM usage_hourly')[0][0], '15');
});

test('without hours, the present one and what is missing is collected', async () => {
  const { result } = expect(await collect(undefined), 200).json;
  assert.ok(result.hours >= 68, `72 hours back-fill, 5 are there: ${result.hours}`);
  const present = service.sql(`SELECT DISTINCT complete FROM usage_hourly
    WHERE hour >= '${iso(startOfHour())}'`).flat();
  assert.deepEqual(present, ['f']);
});

for (const [what, body, field] of [
  ['only a beginning', { from: '2026-01-01T00:00:00Z' }, 'to'],
  ['only an end', { to: '2026-01-01T00:00:00Z' }, 'from'],
  ['a beginning within an hour', { from: '2026-01-01T00:30:00Z', to: '2026-01-01T02:00:00Z' }, 'from'],
  ['an end within an hour', { from: '2026-01-01T00:00:00Z', to: '2026-01-01T02:30:00Z' }, 'to'],
  ['the end before the beginning', { from: '2026-01-01T02:00:00Z', to: '2026-01-01T00:00:00Z' }, 'to'],
  ['an empty range', { from: '2026-01-01T02:00:00Z', to: '2026-01-01T02:00:00Z' }, 'to'],
  ['two years', { from: '2024-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z' }, 'from'],
  ['the future', { from: '2026-01-01T00:00:00Z', to: '2199-01-01T00:00:00Z' }, undefined],
  ['words for times', { from: 'yesterday', to: 'today' }, 'from'],
  ['a number for a truth', { dryRun: 1 }, 'dryRun'],
]) {
  test(`a collection of ${what} is refused`, async () => {
    const body400 = expect(await collect(body), 400).json;
    if (field) assert.equal(body400.details, field);
  });
}

test('a cluster that fails is reported, and what is due stays due', async () => {
  await standIn.fail({ kind: 'status', status: 403, times: 50 });
  const older = { from: iso(now - 100 * HOUR), to: iso(now - 99 * HOUR) };
  const { result } = expect(await collect(older), 200).json;
  assert.equal(result.hours, 0);
  assert.equal(result.results.failed, 1);
  assert.match(result.results.errors[0], /^Cluster alpha: /);
  assert.match(result.results.clusters[0].error, /services\/proxy/);
  await standIn.recover();
  assert.equal(expect(await collect(older), 200).json.result.hours, 1);
});

test('one who triggered a collection is in the audit log', () => {
  assert.ok(Number(service.sql(`SELECT count(*) FROM audit_log
    WHERE action = 'USAGE_COLLECTION_TRIGGERED' AND actor = '${subjectOf(token)}'`)[0][0]) >= 5);
});

// -- check-database ---------------------------------------------------------------------------------

test('check-database sums today up', async () => {
  const body = expect(await get('usage/check-database'), 200).json;
  for (const name of ['date', 'lastCollectionTime', 'totalUsers', 'totalCost', 'userSummary',
    'projectSummary']) assert.ok(name in body, name);
  assert.equal(body.date, iso(now).slice(0, 10));
  assert.match(body.lastCollectionTime, /Z$/);
  assert.equal(body.totalUsers, 1);
  assert.deepEqual(Object.keys(body.userSummary[0]), ['userId', 'cpuHours', 'gpuHours',
    'ramGBHours', 'totalCost', 'projectCount', 'lastUpdate']);
  assert.deepEqual([body.userSummary[0].userId, body.userSummary[0].projectCount],
    [subjectOf(bob), 2]);
  const analytics = body.projectSummary.find((p) => p.namespace === 'analytics');
  assert.deepEqual(Object.keys(analytics), ['namespace', 'userCount', 'totalCpuHours',
    'totalGpuHours', 'totalRamGBHours', 'users']);
  assert.deepEqual([analytics.userCount, analytics.users.length], [1, 1]);
  assert.ok(body.unresolvedNamespaces.some((n) => n.includes('orphan')));
});

// -- check-opencost ---------------------------------------------------------------------------------

test('check-opencost asks the active cluster for the last day, dearest first', async () => {
  const body = expect(await get('usage/check-opencost'), 200).json;
  for (const name of ['timestamp', 'window', 'totalNamespaces', 'totalCost', 'namespaces'])
    assert.ok(name in body, name);
  assert.equal(body.window, 'Last 24 hours');
  assert.equal(body.totalNamespaces, 3);
  assert.equal(body.namespaces.length, 3);
  assert.deepEqual(Object.keys(body.namespaces[0]), ['namespace', 'cpuHours', 'gpuHours',
    'ramGBHours', 'totalCost', 'cpuEfficiency', 'ramEfficiency']);
  const prices = body.namespaces.map((n) => n.totalCost);
  assert.deepEqual(prices, [...prices].sort((a, b) => b - a));
  assert.ok(body.namespaces.every((n) => !n.namespace.startsWith('__')));
});

test('check-opencost says why it failed', async () => {
  await standIn.fail({ kind: 'status', status: 401, times: 20 });
  const body = expect(await get('usage/check-opencost'), 500).json;
  assert.deepEqual(Object.keys(body), ['error', 'message']);
  assert.equal(body.error, 'Failed to check OpenCost');
  assert.match(body.message, /token/);
  await standIn.recover();
});

test('check-opencost needs an active cluster', async () => {
  const set = async (status) => expect(await service.call('PUT', '/api/admin/clusters',
    { token, body: { id: company.cluster, status } }), 200);
  await set('maintenance');
  expect(await get('usage/check-opencost'), 400, { error: 'No active cluster found' });
  await set('active');
  expect(await get('usage/check-opencost'), 200);
});

// -- usage/{userId} ---------------------------------------------------------------------------------

test('an admin sees a user\'s days', async () => {
  const answer = expect(await get(`usage/${subjectOf(bob)}`), 200);
  const body = answer.json;
  for (const name of ['user', 'consumption', 'projects', 'timestamp', 'historicalUsage',
    'historicalTotals']) assert.ok(name in body, name);
  assert.deepEqual(body.user,
    { id: subjectOf(bob), email: 'bob@example.com', name: '', cluster: 'alpha' });
  const dates = body.historicalUsage.map((d) => d.date);
  assert.deepEqual(dates, [...dates].sort().reverse(), 'newest first');
  assert.ok(dates.length >= 3 && dates.length <= 30);
  const yesterday = startOfDay(now) - 24 * HOUR;
  const text = answer.text.slice(answer.text.indexOf(`"date":"${iso(yesterday).slice(0, 10)}"`));
  assertClose(digits(text, 'opencost_cpu_hours'),
    decimalText(sumOfUsage(['analytics', 'recommender'], yesterday, startOfDay(now)).cpu), 0,
    'the cpu hours of yesterday');
  const total = body.historicalUsage.reduce((sum, d) => sum + d.total_cost, 0);
  assert.ok(Math.abs(body.historicalTotals.total_cost - total) < 1e-6);
});

test('an unknown user is 404, however the id is written', async () => {
  for (const id of ['usr_nobody', 'auth0%7C123', '%C3%A4', "'--", 'a'.repeat(255)])
    expect(await get(`usage/${id}`), 404, { error: 'User not found' });
});

test('a user who is on no cluster is 404 as well', async () => {
  const loner = await service.token('loner@example.com');
  expect(await get(`usage/${subjectOf(loner)}`), 404, { error: 'User not found' });
});

test('an id that no user can have is refused', async () => {
  for (const id of ['%0A', '%2F', 'a%5Cb', '%FF', 'a'.repeat(256)])
    expect(await get(`usage/${id}`), 400);
});

test('the literal paths win over the user id', async () => {
  assert.ok('userSummary' in expect(await get('usage/check-database'), 200).json);
  expect(await get('usage/collect'), 405); // not "User not found"
});

// -- timers, and who may ----------------------------------------------------------------------------

test('the timers are shown to admins', async () => {
  const { timers } = expect(await get('timers'), 200).json;
  assert.ok(Array.isArray(timers));
  for (const timer of timers)
    assert.deepEqual(Object.keys(timer),
      ['name', 'lastStarted', 'lastFinished', 'nextDue', 'lastOutcome']);
});

test('strangers and users are turned away, before the method is looked at', async () => {
  for (const path of ['usage/check-opencost', 'usage/check-database', 'usage/collect',
    'usage/usr_x', 'timers'])
    for (const method of ['GET', 'POST', 'DELETE']) {
      expect(await service.call(method, `/api/admin/${path}`), 401, { error: 'Unauthorized' });
      expect(await service.call(method, `/api/admin/${path}`, { token: bob }), 403,
        { error: 'Forbidden' });
    }
  const answer = expect(await service.call('DELETE', '/api/admin/usage/collect', { token }), 405,
    { error: 'Method not allowed' });
  assert.equal(answer.headers.allow, 'OPTIONS, POST');
});

test('without any kubeconfig there is nothing to collect from', async () => {
  const bare = await startService({ directory: makeDirectory() });
  try {
    const body = expect(await bare.call('POST', '/api/admin/usage/collect',
      { token: await bare.adminToken() }), 500).json;
    assert.equal(body.error, 'Failed to collect metrics');
    assert.equal(typeof body.message, 'string');
  } finally {
    await bare.stop();
  }
});

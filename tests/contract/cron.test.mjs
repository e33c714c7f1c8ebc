import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HOUR, awayFromTheHour, expect, iso, startCompany, startService, startOfHour } from './harness.mjs';

const SECRET = 'cron-secret-of-this-test';
const PATH = '/api/usage/collect-opencost';
const authorised = { headers: { Authorization: `Bearer ${SECRET}` } };
let company, service, standIn;
before(async () => {
  await awayFromTheHour();
  company = await startCompany({
    env: { CRON_SECRET: SECRET, BINNACLE_COLLECTOR_BACKFILL_HOURS: '2' },
    standIn: ['--namespaces', 'analytics,recommender,orphan'],
  });
  ({ service, standIn } = company);
  await service.token('bob@example.com');
  await service.project('bob@example.com', 'alpha', 'analytics');
  await service.project('bob@example.com', 'alpha', 'recommender');
});
after(() => company?.stop());

const totals = () => service.sql(`SELECT namespace, count(*), sum(cpu_hours) FROM usage_hourly
  WHERE complete GROUP BY 1 ORDER BY 1`);

test('without the secret nobody collects, whoever he is', async () => {
  for (const options of [{}, { token: company.admin }, { token: 'wrong' },
    { headers: { Authorization: SECRET } }, { headers: { Authorization: `Basic ${SECRET}` } },
    { headers: { Authorization: `Bearer ${SECRET}x` } },
    { headers: { Authorization: `Bearer ${SECRET.slice(0, -1)}` } },
    { headers: { Authorization: 'Bearer ' } }, { headers: { 'X-Cron-Secret': SECRET } }])
    for (const method of ['GET', 'POST'])
      expect(await service.call(method, PATH, options), 401, { error: 'Unauthorized' });
  assert.equal(service.sql('SELECT count(*) FROM usage_hourly')[0][0], '0');
});

test('the secret is checked before the method', async () => {
  expect(await service.call('DELETE', PATH), 401, { error: 'Unauthorized' });
  const answer = expect(await service.call('DELETE', PATH, authorised), 405,
    { error: 'Method not allowed' });
  assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS, POST');
});

test('a run collects the present hour and what is missing, and reports it', async () => {
  const answer = expect(await service.call('POST', PATH, authorised), 200);
  assert.equal(answer.headers['cache-control'], 'no-store');
  const body = answer.json;
  for (const name of ['message', 'timestamp', 'hour', 'clustersProcessed', 'results'])
    assert.ok(name in body, name);
  assert.equal(body.timestamp, iso(Date.now()).slice(0, 10));
  assert.equal(body.hour, new Date().getUTCHours());
  assert.equal(body.clustersProcessed, 1);
  const { results } = body;
  assert.deepEqual(Object.keys(results),
    ['successful', 'failed', 'errors', 'namespaces', 'clusters']);
  assert.deepEqual([results.successful, results.failed], [2, 1]);
  assert.deepEqual(results.errors, ['Namespace orphan: No user mapping found']);
  assert.deepEqual(Object.keys(results.namespaces[0]), ['namespace', 'projectName', 'userId',
    'cpuHours', 'gpuHours', 'ramGBHours', 'onlineStorageGB', 'offlineStorageGB']);
  assert.deepEqual(results.clusters, [{
    clusterId: company.cluster, clusterName: 'alpha', successful: 2, failed: 1, namespaceCount: 3,
  }]);
});

test('synthetic rows and system namespaces are neither booked nor reported', async () => {
  const body = expect(await service.call('GET', PATH, authorised), 200).text;
  assert.doesNotMatch(body, /__|kube-|opencost"|hopsworks|ingress/);
  assert.deepEqual(service.sql('SELECT DISTINCT namespace FROM usage_hourly ORDER BY 1').flat(),
    ['analytics', 'orphan', 'recommender']);
});

test('a namespace of nobody is kept for later', () => {
  const [[count]] = service.sql(
    `SELECT count(*) FROM usage_hourly WHERE namespace = 'orphan' AND user_id IS NULL`);
  assert.equal(count, '3');
});

test('running again changes no sum of the past; only the present hour grows', async () => {
  const before = totals();
  const { hours } = expect(await service.call('POST', PATH, authorised), 200).json;
  assert.equal(hours, 1);
  assert.deepEqual(totals(), before);
  assert.equal(service.sql(`SELECT count(*) FROM usage_hourly
    WHERE hour = '${iso(startOfHour())}'`)[0][0], '3');
});

test('runs at the same time count nothing twice', async () => {
  const before = totals();
  const runs = await Promise.all(Array.from({ length: 4 }, () =>
    service.call('POST', PATH, authorised)));
  for (const answer of runs) expect(answer, 200);
  assert.deepEqual(totals(), before);
});

test('numbers that are unknown are not zero: they stay due', async () => {
  const hour = startOfHour() - 9 * HOUR; // nobody has asked for it yet
  await standIn.command('PATCH', '/data', { [iso(hour)]: { analytics: { cpuCoreHours: null } } });
  expect(await service.call('POST', '/api/admin/usage/collect', {
    token: company.admin, body: { from: iso(hour), to: iso(hour + HOUR), again: true },
  }), 200);
  assert.deepEqual(service.sql(`SELECT cpu_hours IS NULL, complete FROM usage_hourly
    WHERE namespace = 'analytics' AND hour = '${iso(hour)}'`), [['t', 'f']]);
});

test('one failing cluster does not fail the run', async () => {
  const broken = await service.addCluster(company.admin, 'broken',
    standIn.kubeconfig.replace(/token: .*/, 'token: wrong'));
  const body = expect(await service.call('POST', PATH, authorised), 200).json;
  assert.equal(body.clustersProcessed, 2);
  const [good, bad] = body.results.clusters;
  assert.equal(good.error, undefined);
  assert.equal(bad.clusterId, broken);
  assert.match(bad.error, /token/);
  assert.ok(body.results.errors.some((e) => e.startsWith('Cluster broken: ')));
});

test('with no kubeconfig at all a run fails and says so; with no secret set, all are refused', async () => {
  const bare = await startService({ env: { CRON_SECRET: SECRET } });
  try {
    const body = expect(await bare.call('POST', PATH, authorised), 500).json;
    assert.deepEqual(Object.keys(body), ['error', 'message']);
    assert.equal(body.error, 'Failed to collect metrics');
  } finally {
    await bare.stop();
  }
  const open = await startService({ directory: bare.directory });
  try {
    for (const options of [{}, authorised, { headers: { Authorization: 'Bearer ' } }])
      expect(await open.call('POST', PATH, options), 401, { error: 'Unauthorized' });
  } finally {
    await open.stop();
  }
});

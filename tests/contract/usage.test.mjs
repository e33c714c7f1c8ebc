import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  HOUR, assertClose, awayFromTheHour, decimalText, digits, expect, iso, startCompany, startOfDay,
  startOfMonth, subjectOf, sumOfUsage, until,
} from './harness.mjs';

const OWN = ['analytics', 'fraud-detection'];
let company, service, admin, bob, carol, dora, now, from;

before(async () => {
  now = await awayFromTheHour();
  from = now - 30 * HOUR;
  company = await startCompany({
    env: { BINNACLE_RATE_LIMIT_SCALE: '100' },
    standIn: ['--namespaces', 'analytics,fraud-detection,recommender,orphan'],
  });
  ({ service, admin } = company);
  [bob, carol, dora] = await Promise.all(
    ['bob', 'carol', 'dora'].map((name) => service.token(`${name}@example.com`)));
  await service.project('bob@example.com', 'alpha', 'analytics', 'Größe/Ähnlichkeit');
  await service.project('bob@example.com', 'alpha', 'fraud-detection');
  await service.project('carol@example.com', 'alpha', 'recommender');
  expect(await collect({ from: iso(from), to: iso(now) }), 200);
});
after(() => company?.stop());

const collect = (body) =>
  service.call('POST', '/api/admin/usage/collect', { token: admin, body });
const usage = (token, query = '', options) =>
  service.call('GET', `/api/usage${query}`, { token, ...options });
const thisMonth = () => Math.max(from, startOfMonth(now));
const today = () => Math.max(from, startOfDay(now));

test('a user sees the sums of the month, exactly what the clusters reported', async () => {
  const answer = expect(await usage(bob), 200);
  const expected = sumOfUsage(OWN, thisMonth(), now);
  assertClose(digits(answer.text, 'cpuHours'), decimalText(expected.cpu), 0, 'cpuHours');
  assertClose(digits(answer.text, 'gpuHours'), decimalText(expected.gpu), 0, 'gpuHours');
  assertClose(digits(answer.text, 'ramGbHours'), decimalText(expected.ram), 100, 'ramGbHours');
});

test('the body has the fields of the contract, and zeros for what is not metered', async () => {
  const body = expect(await usage(bob), 200).json;
  assert.deepEqual(Object.keys(body), ['cpuHours', 'gpuHours', 'ramGbHours', 'storageGB',
    'featureGroups', 'modelDeployments', 'apiCalls', 'featureStoreApiCalls',
    'modelInferenceCalls', 'currentMonth', 'lastUpdate', 'projectBreakdown']);
  for (const name of ['featureGroups', 'modelDeployments', 'apiCalls', 'featureStoreApiCalls',
    'modelInferenceCalls']) assert.equal(body[name], 0, name);
  assert.equal(body.currentMonth, iso(now).slice(0, 7));
  assert.match(body.lastUpdate, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('storage is the largest amount of a day, not a sum', async () => {
  if (thisMonth() >= now) return; // the month is less than an hour old
  const expected = sumOfUsage(OWN, now - HOUR, now).online; // the same in every hour
  assertClose(digits(expect(await usage(bob), 200).text, 'storageGB'), decimalText(expected), 10,
    'storageGB');
});

test('the breakdown is today\'s, by namespace, with the project\'s own name', async () => {
  const answer = expect(await usage(bob), 200);
  const { projectBreakdown } = answer.json;
  if (today() >= now) return assert.deepEqual(projectBreakdown, {});
  assert.deepEqual(Object.keys(projectBreakdown).sort(), OWN);
  assert.deepEqual(Object.keys(projectBreakdown.analytics), ['name', 'cpuHours', 'gpuHours',
    'ramGBHours', 'onlineStorageGB', 'offlineStorageGB', 'cpuEfficiency', 'ramEfficiency',
    'lastUpdated']);
  assert.equal(projectBreakdown.analytics.name, 'Größe/Ähnlichkeit');
  for (const name of OWN) {
    const { cpu, ram } = sumOfUsage([name], today(), now);
    const part = answer.text.slice(answer.text.indexOf(`"${name}":{`));
    assertClose(digits(part, 'cpuHours'), decimalText(cpu), 0, `${name}: cpuHours`);
    assertClose(digits(part, 'ramGBHours'), decimalText(ram), 100, `${name}: ramGBHours`);
    for (const ratio of ['cpuEfficiency', 'ramEfficiency'])
      assert.ok(projectBreakdown[name][ratio] > 0 && projectBreakdown[name][ratio] < 2, ratio);
  }
});

test('nobody sees what is another\'s or nobody\'s', async () => {
  assert.doesNotMatch((await usage(bob)).text, /recommender|orphan/);
  assert.doesNotMatch((await usage(carol)).text, /analytics|fraud|orphan/);
});

test('a user without projects has used nothing', async () => {
  const body = expect(await usage(dora), 200).json;
  assert.deepEqual([body.cpuHours, body.gpuHours, body.ramGbHours, body.storageGB], [0, 0, 0, 0]);
  assert.equal(body.lastUpdate, null);
  assert.deepEqual(body.projectBreakdown, {});
});

test('the same comes as CSV', async () => {
  const answer = expect(await usage(bob, '?format=csv'), 200);
  assert.equal(answer.headers['content-type'], 'text/csv; charset=utf-8');
  assert.equal(answer.headers['content-disposition'],
    `attachment; filename="usage-${iso(now).slice(0, 7)}.csv"`);
  const [head, total, ...projects] = answer.text.trimEnd().split('\r\n');
  assert.match(head, /^period,project,cpuHours,gpuHours,ramGBHours,/);
  assert.equal(total.split(',')[2], digits((await usage(bob)).text, 'cpuHours'));
  assert.equal(projects.length, today() < now ? OWN.length : 0);
  expect(await usage(bob, '?format=json'), 200);
});

test('an unknown format is refused', async () => {
  const body = expect(await usage(bob, '?format=xml'), 400).json;
  assert.equal(body.details, 'format');
});

test('an unchanged summary is 304, and no other user\'s tag fits', async () => {
  const first = expect(await usage(bob), 200);
  assert.equal(first.headers['cache-control'], 'private, no-cache');
  const tag = first.headers.etag;
  assert.match(tag, /^"[0-9a-f]+"$/);
  const second = expect(await usage(bob, '', { headers: { 'If-None-Match': `"x", W/${tag}` } }), 304);
  assert.equal(second.raw.length, 0);
  assert.equal(second.headers.etag, tag);
  expect(await usage(carol, '', { headers: { 'If-None-Match': tag } }), 200);
});

test('what is booked anew shows at once, and repetition changes no sum', async () => {
  const first = expect(await usage(bob), 200);
  expect(await collect({ from: iso(from), to: iso(now), again: true }), 200);
  const second = expect(await usage(bob), 200);
  for (const name of ['cpuHours', 'gpuHours', 'ramGbHours', 'storageGB'])
    assert.equal(digits(second.text, name), digits(first.text, name), name);
  assert.ok(second.json.lastUpdate >= first.json.lastUpdate);
});

test('a namespace that gets an owner later brings its usage along', async () => {
  await service.project('dora@example.com', 'alpha', 'orphan');
  const expected = decimalText(sumOfUsage(['orphan'], thisMonth(), now).cpu);
  await until('it is attributed', async () =>
    digits((await usage(dora)).text, 'cpuHours') === expected);
});

test('a corrected hour replaces the wrong one', async () => {
  const hour = now - HOUR;
  if (hour < thisMonth()) return;
  const before = sumOfUsage(OWN, thisMonth(), now).cpu - sumOfUsage(['analytics'], hour, now).cpu;
  await company.standIn.command('PATCH', '/data', {
    [iso(hour)]: { analytics: { cpuCoreHours: 0.12345 } },
  });
  expect(await collect({ from: iso(hour), to: iso(now), again: true }), 200);
  assertClose(digits(expect(await usage(bob), 200).text, 'cpuHours'),
    decimalText(before + 123_450_000_000n), 0, 'cpuHours');
});

test('a browser is served by its session cookie as well', async () => {
  await service.user('bobby', { email: 'bobby@example.com' });
  const browser = service.browser();
  expect(await browser.call('POST', '/api/auth/login',
    { body: { username: 'bobby', password: 'correct horse battery' } }), 200);
  expect(await browser.call('GET', '/api/usage'), 200);
});

test('a caller without a credential is told so', async () => {
  for (const options of [{}, { token: 'a.b.c' }, { cookie: 'session=none' }])
    expect(await service.call('GET', '/api/usage', options), 401, { error: 'Not authenticated' });
});

test('the method is checked before the caller', async () => {
  for (const token of [undefined, bob]) {
    const answer = expect(await service.call('DELETE', '/api/usage', { token }), 405,
      { error: 'Method not allowed' });
    assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
  }
});

test('a failure in the database is 500 in the route\'s words, and tells nothing else', async () => {
  const fresh = await service.token('eve@example.com'); // nothing of hers is cached
  service.sql('ALTER TABLE usage_monthly RENAME TO hidden');
  try {
    expect(await usage(fresh), 500, { error: 'Failed to fetch usage data' });
  } finally {
    service.sql('ALTER TABLE hidden RENAME TO usage_monthly');
  }
  expect(await usage(fresh), 200);
  assert.ok(subjectOf(fresh).startsWith('usr_'));
});

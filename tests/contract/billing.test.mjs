import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  HOUR, assertClose, awayFromTheHour, decimalText, digits, expect, iso, startCompany, startOfDay,
  startOfMonth, subjectOf, sumOfUsage, units, until,
} from './harness.mjs';

const OWN = ['analytics', 'recommender'];
let company, service, admin, bob, now, from;

before(async () => {
  now = await awayFromTheHour();
  from = startOfDay(now) - 24 * HOUR; // yesterday and today
  company = await startCompany({
    env: { BINNACLE_RATE_LIMIT_SCALE: '100' },
    standIn: ['--namespaces', 'analytics,recommender'],
  });
  ({ service, admin } = company);
  bob = await service.token('bob@example.com');
  for (const name of OWN) await service.project('bob@example.com', 'alpha', name);
  expect(await service.call('POST', '/api/admin/usage/collect',
    { token: admin, body: { from: iso(from), to: iso(now) } }), 200);
});
after(() => company?.stop());

const billing = (token, query = '', options) =>
  service.call('GET', `/api/billing${query}`, { token, ...options });

const ONE = 10n ** 12n;
/// Compute and storage cost of sums in units of 10^-12.
function costs({ cpu, gpu, ram, online }) {
  return {
    compute: (cpu * 175n + gpu * 3500n) / 1000n + (ram * 175n) / 10_000n,
    storage: online / 1440n, // 0.50 a month of 720 hours
  };
}
/// With two decimals, a half to the even neighbour.
function twoPlaces(n) {
  const unit = ONE / 100n;
  let whole = n / unit;
  const rest = n % unit * 2n;
  if (rest > unit || (rest === unit && whole % 2n)) whole += 1n;
  return `${whole / 100n}.${String(whole % 100n).padStart(2, '0')}`;
}

test('the statement has the fields of the contract', async () => {
  const body = expect(await billing(bob), 200).json;
  assert.deepEqual(Object.keys(body).sort(), ['billingMode', 'creditBalance', 'currentUsage',
    'hasPaymentMethod', 'historicalUsage', 'invoices', 'isSuspended', 'paymentMethodDetails',
    'prepaidEnabled', 'rates', 'subscriptionStatus']);
  assert.deepEqual(Object.keys(body.currentUsage).sort(), ['cpuHours', 'currentMonth', 'gpuHours',
    'offlineStorageGB', 'onlineStorageGB', 'ramGbHours']);
  assert.deepEqual([body.billingMode, body.hasPaymentMethod, body.paymentMethodDetails,
    body.subscriptionStatus, body.prepaidEnabled, body.isSuspended, body.creditBalance],
  ['postpaid', false, null, null, false, false, null]);
  assert.deepEqual(body.invoices, []);
  assert.deepEqual(body.rates, {
    cpu_hour: 0.175, gpu_hour: 3.5, ram_gb_hour: 0.0175,
    storage_online_gb: 0.5, storage_offline_gb: 0.03, network_egress_gb: 0.14,
  });
});

test('the month\'s hours are texts with two decimals and its costs follow from the rates', async () => {
  const answer = expect(await billing(bob), 200);
  const sum = sumOfUsage(OWN, Math.max(from, startOfMonth(now)), now);
  const { currentUsage } = answer.json;
  assert.equal(currentUsage.cpuHours, twoPlaces(sum.cpu));
  assert.equal(currentUsage.gpuHours, twoPlaces(sum.gpu));
  assert.ok(Math.abs(currentUsage.ramGbHours - Number(decimalText(sum.ram))) <= 0.006);
  const { compute, storage } = costs(sum);
  const { computeCost, storageCost, total } = Object.fromEntries(
    ['computeCost', 'storageCost', 'total'].map((n) => [n, digits(answer.text, n)]));
  assertClose(computeCost, decimalText(compute), 1000, 'computeCost');
  assertClose(storageCost, decimalText(storage), 1000, 'storageCost');
  assert.equal(units(total), units(computeCost) + units(storageCost));
});

test('the history lists the last days in order, each with its own cost', async () => {
  const answer = expect(await billing(bob), 200);
  const { historicalUsage } = answer.json;
  const days = [from, startOfDay(now)].filter((day) => day < now);
  assert.deepEqual(historicalUsage.map((d) => d.date), days.map((d) => iso(d).slice(0, 10)));
  for (const [i, day] of days.entries()) {
    assert.deepEqual(Object.keys(historicalUsage[i]),
      ['date', 'cpu_hours', 'gpu_hours', 'storage_gb', 'total_cost']);
    const sum = sumOfUsage(OWN, day, Math.min(day + 24 * HOUR, now));
    const text = answer.text.slice(answer.text.indexOf(`"date":"${iso(day).slice(0, 10)}"`));
    assertClose(digits(text, 'cpu_hours'), decimalText(sum.cpu), 0, 'cpu_hours');
    const { compute, storage } = costs(sum);
    assertClose(digits(text, 'total_cost'), decimalText(compute + storage), 1000, 'total_cost');
  }
});

test('a month can be chosen; one without usage is empty', async () => {
  const month = iso(now).slice(0, 7);
  const chosen = expect(await billing(bob, `?month=${month}`), 200).json;
  const current = expect(await billing(bob, '?month=current'), 200).json;
  assert.deepEqual(chosen.currentUsage, current.currentUsage);
  assert.ok(chosen.historicalUsage.every((d) => d.date.startsWith(month)));
  const empty = expect(await billing(bob, '?month=2020-02'), 200).json;
  assert.deepEqual(empty.historicalUsage, []);
  assert.deepEqual(empty.currentUsage, {
    cpuHours: '0.00', gpuHours: '0.00', ramGbHours: '0.00',
    onlineStorageGB: '0MB', offlineStorageGB: '0MB',
    currentMonth: { computeCost: 0, storageCost: 0, total: 0 },
  });
});

for (const month of ['2025-13', '2025', 'yesterday', '2025-1', '2025-01-01', '', '0000-01'])
  test(`month=${month || '(empty)'} is no month`, async () => {
    const body = expect(await billing(bob, `?month=${month}`), 400).json;
    assert.equal(body.details, 'month');
  });

test('storage is the latest day\'s: megabytes below a tenth of a gigabyte, else gigabytes', async () => {
  const token = await service.token('small@example.com');
  await service.project('small@example.com', 'alpha', 'small');
  const hour = now - HOUR;
  const show = async (bytes) => {
    await company.standIn.command('PATCH', '/data',
      { [iso(hour)]: { small: { cpuCoreHours: 1, pvByteHours: bytes } } });
    expect(await service.call('POST', '/api/admin/usage/collect',
      { token: admin, body: { from: iso(hour), to: iso(now), again: true } }), 200);
    const month = iso(hour).slice(0, 7);
    return expect(await billing(token, `?month=${month}`), 200).json.currentUsage.onlineStorageGB;
  };
  const gib = 2 ** 30;
  assert.equal(await show(2 * 2 ** 20), '2MB');
  assert.equal(await show(0.0625 * gib), '64MB');
  assert.equal(await show(0.125 * gib), '0.12GB');
  assert.equal(await show(50.25 * gib), '50.25GB');
});

test('no cache keeps it', async () => {
  const { headers } = expect(await billing(bob), 200);
  assert.equal(headers['cache-control'], 'no-store, no-cache, must-revalidate');
  assert.equal(headers.pragma, 'no-cache');
  assert.equal(headers.expires, '0');
});

test('the history comes as CSV too', async () => {
  const answer = expect(await billing(bob, '?format=csv'), 200);
  assert.equal(answer.headers['content-type'], 'text/csv; charset=utf-8');
  assert.match(answer.headers['content-disposition'], /^attachment; filename="billing-\d{4}-\d\d\.csv"$/);
  const [head, ...rows] = answer.text.trimEnd().split('\r\n');
  assert.equal(head, 'date,cpu_hours,gpu_hours,storage_gb,total_cost');
  const { historicalUsage } = expect(await billing(bob), 200).json;
  assert.deepEqual(rows.map((r) => Number(r.split(',')[4])),
    historicalUsage.map((d) => d.total_cost));
  assert.equal(expect(await billing(bob, '?format=pdf'), 400).json.details, 'format');
});

test('a team member learns who pays, and no figures', async () => {
  const token = await service.token('member@example.com');
  service.changeUser(subjectOf(token), `account_owner_id = '${subjectOf(bob)}'`);
  const owner = { email: 'bob@example.com', name: '' };
  await until('the session knows', async () => (await billing(token)).json.isTeamMember);
  expect(await billing(token), 200, {
    isTeamMember: true,
    accountOwner: owner,
    billingMode: 'team',
    hasPaymentMethod: true,
    currentUsage: {
      cpuHours: '0.00', gpuHours: '0.00', ramGbHours: '0.00',
      onlineStorageGB: '0.00', offlineStorageGB: '0.00',
      currentMonth: { computeCost: 0, storageCost: 0, total: 0 },
    },
  });
});

test('prepaid shows', async () => {
  const token = await service.token('prepaid@example.com');
  service.changeUser(subjectOf(token),
    `billing_mode = 'prepaid', feature_flags = '{"prepaid_enabled": true}'`);
  await until('the session knows', async () => (await billing(token)).json.prepaidEnabled);
  assert.equal((await billing(token)).json.billingMode, 'prepaid');
});

test('a caller without a credential is told so, after the method', async () => {
  expect(await service.call('GET', '/api/billing'), 401, { error: 'Not authenticated' });
  const wrong = expect(await service.call('POST', '/api/billing', { body: {} }), 405,
    { error: 'Method not allowed' });
  assert.equal(wrong.headers.allow, 'GET, HEAD, OPTIONS');
});

test('a failure in the database is 500 in the route\'s words', async () => {
  service.sql('ALTER TABLE usage_daily RENAME TO hidden');
  try {
    expect(await billing(bob), 500, { error: 'Failed to fetch billing data' });
  } finally {
    service.sql('ALTER TABLE hidden RENAME TO usage_daily');
  }
});

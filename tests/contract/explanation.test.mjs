/// Where a charge comes from: every level sums to the level above it, digit by digit.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  HOUR, awayFromTheHour, decimalText, expect, iso, startCompany, startOfDay, subjectOf, units,
} from './harness.mjs';

const DAY = 24 * HOUR;
const PATH = '/api/billing/explain', ADMIN = '/api/admin/billing/explain';
const AMOUNTS = ['cpuHours', 'gpuHours', 'ramGBHours', 'onlineStorageGBHours', 'offlineStorageGBHours',
  'credits', 'computeCost', 'storageCost', 'totalCost'];
let company, service, admin, bob, mia, carol, day, month;

before(async () => {
  const today = startOfDay(await awayFromTheHour());
  day = iso(today - DAY).slice(0, 10);
  month = day.slice(0, 7);
  company = await startCompany({ env: { BINNACLE_RATE_LIMIT_SCALE: '100' },
    standIn: ['--namespaces', 'analytics,recommender,lab,elsewhere'] });
  ({ service, admin } = company);
  [bob, mia, carol] = await Promise.all(['bob', 'mia', 'carol'].map((n) => service.token(`${n}@example.com`)));
  service.changeUser(subjectOf(mia), `account_owner_id = '${subjectOf(bob)}'`);
  for (const [who, name] of [['bob', 'analytics'], ['bob', 'recommender'], ['mia', 'lab'], ['carol', 'elsewhere']])
    await service.project(`${who}@example.com`, 'alpha', name);
  // A price that changes at noon.
  service.sql(`INSERT INTO stripe_products (product_type, unit_price, valid_from)
    VALUES ('compute_credits', 0.40, '${day}T12:00:00Z')`);
  expect(await service.call('POST', '/api/admin/usage/collect',
    { token: admin, body: { from: iso(today - 3 * DAY), to: iso(today) } }), 200);
});
after(() => company?.stop());

/// The body with its numbers as they stand in the text.
const exact = ({ text }) => JSON.parse(text.replace(/":(-?[0-9][0-9.]*)(?=[,}\]])/g, '":"$1"'));
const explain = async (token, query, path = PATH) =>
  exact(expect(await service.call('GET', `${path}?${query}`, { token }), 200));
const amounts = (row) => Object.fromEntries(AMOUNTS.map((name) => [name, units(row[name])]));
const sum = (rows) => Object.fromEntries(AMOUNTS.map((name) =>
  [name, rows.reduce((total, row) => total + units(row[name]), 0n)]));

test('a month leads to days, a day to namespaces, a namespace to hours, and all adds up', async () => {
  const whole = await explain(bob, `month=${month}`);
  assert.deepEqual(Object.keys(whole), ['month', 'total', 'days']);
  assert.ok(whole.days.length >= 1);
  assert.deepEqual(sum(whole.days), amounts(whole.total));
  assert.ok(units(whole.total.totalCost) > 0n);
  for (const one of whole.days) {
    const of = await explain(bob, `date=${one.date}`);
    assert.deepEqual(Object.keys(of), ['date', 'total', 'namespaces', 'nextCursor', 'meterReports']);
    assert.deepEqual(amounts(of.total), amounts(one));
    assert.deepEqual(sum(of.namespaces), amounts(one));
    assert.deepEqual(of.namespaces.map((n) => [n.email, n.cluster, n.namespace]).sort(), [
      ['bob@example.com', 'alpha', 'analytics'], ['bob@example.com', 'alpha', 'recommender'],
      ['mia@example.com', 'alpha', 'lab']]);
    for (const project of of.namespaces) {
      const { total, hours } = await explain(bob, `date=${one.date}&namespace=${project.namespace}`);
      assert.deepEqual(amounts(total), amounts(project));
      assert.deepEqual(sum(hours), amounts(project));
      assert.equal(hours.length, 24);
    }
  }
});

test('an hour shows the rates that were in force, and its costs follow from them', async () => {
  const { hours } = await explain(bob, `date=${day}&namespace=analytics`);
  assert.equal(hours[11].rates.compute_credits, '0.35');
  assert.equal(hours[12].rates.compute_credits, '0.4');
  for (const hour of [hours[11], hours[12]]) {
    const ONE = 10n ** 12n;
    const exactly = units(hour.cpuHours) * units(hour.rates.cpu_hour)
      + units(hour.gpuHours) * units(hour.rates.gpu_hour)
      + units(hour.ramGBHours) * units(hour.rates.ram_gb_hour);
    const difference = units(hour.computeCost) - exactly / ONE;
    assert.ok(difference >= 0n && difference <= 1n, `${hour.hour}: ${decimalText(difference)}`);
    assert.equal(units(hour.totalCost), units(hour.computeCost) + units(hour.storageCost));
  }
});

test('what was reported to Stripe of a day is part of its explanation', async () => {
  const id = subjectOf(bob);
  service.sql(`INSERT INTO meter_reports (usage_id, meter, revision, user_id, payer_id, customer_id, day,
      amount, carried_in, value, carried_out, state, created_at)
    SELECT id, 'compute_credits', revision, user_id, user_id, 'cus_bob', day, 12.5, 0, 12, 0.5, 'waiting', now()
    FROM usage_daily WHERE user_id = '${id}' AND day = '${day}'`);
  const [[usage]] = service.sql(`SELECT id FROM usage_daily WHERE user_id = '${id}' AND day = '${day}'`);
  const { meterReports } = await explain(bob, `date=${day}`);
  assert.deepEqual(meterReports, [{ identifier: `${usage}:compute_credits:0`, userId: id,
    meter: 'compute_credits', amount: '12.5', carriedIn: '0', value: '12', remainder: '0.5',
    state: 'waiting', deliveredAt: null }]);
});

test('a member is refused, and an admin sees what the member used', async () => {
  for (const query of [`month=${month}`, `date=${day}`, `date=${day}&namespace=lab`])
    expect(await service.call('GET', `${PATH}?${query}`, { token: mia }), 403);
  const of = await explain(admin, `date=${day}&userId=${subjectOf(mia)}`, ADMIN);
  assert.deepEqual(of.namespaces.map((n) => n.namespace), ['lab']);
  assert.deepEqual(await explain(admin, `month=${month}&userId=${subjectOf(bob)}`, ADMIN),
    await explain(bob, `month=${month}`));
});

test('nobody sees what others are charged', async () => {
  assert.deepEqual((await explain(carol, `date=${day}`)).namespaces.map((n) => n.namespace), ['elsewhere']);
  expect(await service.call('GET', `${PATH}?date=${day}&namespace=analytics`, { token: carol }), 404);
  expect(await service.call('GET', `${PATH}?date=${day}&namespace=elsewhere`, { token: bob }), 404);
  // Naming somebody else changes nothing.
  assert.deepEqual(await explain(carol, `month=${month}&userId=${subjectOf(bob)}`),
    await explain(carol, `month=${month}`));
});

test('a time without usage is explained by nothing', async () => {
  const empty = await explain(bob, 'month=2020-02');
  assert.deepEqual(empty.days, []);
  assert.equal(empty.total.totalCost, '0');
  assert.deepEqual((await explain(bob, 'date=2020-02-02')).namespaces, []);
  expect(await service.call('GET', `${PATH}?date=2020-02-02&namespace=analytics`, { token: bob }), 404);
});

test('a day with many namespaces comes in pages', async () => {
  const id = subjectOf(carol), date = '2020-03-01';
  service.sql(`INSERT INTO usage_project_daily SELECT '${id}', '${date}', '${company.cluster}', 'n' || i,
      1, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0, i, 0, now() FROM generate_series(1, 450) i;
    INSERT INTO usage_daily (user_id, day, opencost_cpu_hours, opencost_gpu_hours, opencost_ram_gb_hours,
      opencost_total_cost, online_storage_gb_hours, offline_storage_gb_hours, online_storage_gb,
      offline_storage_gb, total_credits, compute_cost, storage_cost, created_at, updated_at)
    SELECT user_id, day, sum(cpu_hours), 0, 0, 0, 0, 0, 0, 0, 0, sum(compute_cost), 0, now(), now()
    FROM usage_project_daily WHERE user_id = '${id}' AND day = '${date}' GROUP BY user_id, day`);
  const pages = [];
  for (let cursor = ''; cursor !== null;) {
    const one = await explain(carol, `date=${date}${cursor && `&cursor=${cursor}`}`);
    pages.push(one);
    cursor = one.nextCursor;
  }
  assert.deepEqual(pages.map((p) => p.namespaces.length), [200, 200, 50]);
  assert.deepEqual(sum(pages.flatMap((p) => p.namespaces)), amounts(pages[2].total));
  const file = expect(await service.call('GET', `${PATH}?date=${date}&format=csv`, { token: carol }), 200);
  assert.equal(file.headers.link,
    `<${PATH}?date=${date}&format=csv&cursor=${pages[0].nextCursor}>; rel="next"`);
});

test('every level is to be had as a file', async () => {
  for (const [query, name, heading, lines] of [
    [`month=${month}`, `charges-${month}.csv`, /^date,cpuHours,/, null],
    [`date=${day}`, `charges-${day}.csv`, /^date,userId,email,cluster,namespace,cpuHours,/, 3],
    [`date=${day}&namespace=lab`, `charges-${day}.csv`, /^hour,userId,cluster,namespace,.*,cpu_hour,/, 24],
  ]) {
    const answer = expect(await service.call('GET', `${PATH}?${query}&format=csv`, { token: bob }), 200);
    assert.equal(answer.headers['content-disposition'], `attachment; filename="${name}"`);
    assert.match(answer.text, heading);
    if (lines) assert.equal(answer.text.trim().split('\r\n').length, 1 + lines);
  }
});

for (const [query, field] of [
  ['', 'date'], [`month=2026-01&date=2026-01-01`, 'month'], ['month=2026-13', 'month'],
  ['date=2026-02-30', 'date'], ['date=', 'date'], ['month=2026-01&namespace=a', 'namespace'],
  ['month=2026-01&cursor=YQ', 'cursor'], ['date=2026-01-01&cursor=YQ', 'cursor'],
  ['date=2026-01-01&cursor=%21', 'cursor'], ['date=2026-01-01&cursor=AAoKAA', 'cursor'],
  ['date=2026-01-01&format=pdf', 'format'],
])
  test(`?${query} is refused, naming ${field}`, async () => {
    const body = expect(await service.call('GET', `${PATH}?${query}`, { token: bob }), 400).json;
    assert.equal(body.details, field);
  });

test('an admin names the user, who must be there', async () => {
  for (const path of [ADMIN, `${ADMIN}/credits`]) {
    const body = expect(await service.call('GET', `${path}?date=${day}`, { token: admin }), 400).json;
    assert.equal(body.details, 'userId');
    expect(await service.call('GET', `${path}?date=${day}&userId=usr_unknown`, { token: admin }), 404,
      { error: 'User not found' });
  }
});

test('credits are explained by the grants that paid for them', async () => {
  const id = subjectOf(carol);
  service.sql(`INSERT INTO credit_accounts (user_id, balance) VALUES ('${id}', 25)`);
  const entry = (kind, source, tenths, balance) => Number(service.sql(`INSERT INTO credit_entries
    (user_id, kind, source, tenths, balance_after, occurred_at, created_at)
    VALUES ('${id}', '${kind}', '${source}', ${tenths}, ${balance}, now(), now()) RETURNING id`)[0][0]);
  const pack = entry('grant', 'checkout:cs_1', 50, 50), gift = entry('grant', 'gift', 50, 100);
  const use = entry('use', 'job:1', -75, 25);
  service.sql(`INSERT INTO credit_lots VALUES (${pack}, '${id}', 'infinity', 0), (${gift}, '${id}', 'infinity', 25);
    INSERT INTO credit_allocations VALUES (${pack}, ${pack}, 50), (${gift}, ${gift}, 50), (${use}, ${pack}, -50),
      (${use}, ${gift}, -25)`);

  const { json, text } = expect(await service.call('GET', `${PATH}/credits`, { token: carol }), 200);
  assert.match(text, /"credits":-7\.5,"balanceAfter":2\.5/);
  assert.deepEqual(json.entries.map((e) => [e.id, e.kind, e.source]),
    [[use, 'use', 'job:1'], [gift, 'grant', 'gift'], [pack, 'grant', 'checkout:cs_1']]);
  assert.deepEqual(json.entries[0].paidBy.map((p) => [p.id, p.source, p.credits]),
    [[pack, 'checkout:cs_1', 5], [gift, 'gift', 2.5]]);
  assert.equal(json.nextCursor, null);
  assert.deepEqual(expect(await service.call('GET', `${ADMIN}/credits?userId=${id}`, { token: admin }), 200).json, json);
  assert.deepEqual(expect(await service.call('GET', `${PATH}/credits`, { token: bob }), 200).json.entries, []);

  const older = expect(await service.call('GET', `${PATH}/credits?cursor=${gift}`, { token: carol }), 200).json;
  assert.deepEqual(older.entries.map((e) => e.id), [pack]);
  const file = expect(await service.call('GET', `${PATH}/credits?format=csv`, { token: carol }), 200).text;
  assert.match(file, new RegExp(`\r\n${use},job:1,-7\\.5,2\\.5,\\S+,,checkout:cs_1,5\r\n${use},.*,gift,2\\.5\r\n`));
  assert.equal(expect(await service.call('GET', `${PATH}/credits?cursor=x`, { token: carol }), 400).json.details, 'cursor');
});

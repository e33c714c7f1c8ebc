/// The books agree, from OpenCost to Stripe; whatever is forged in them is named.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStripe } from '../upstreams/stripe.mjs';
import {
  HOUR, awayFromTheHour, call as request, expect, iso, startCompany, startOfDay, subjectOf, units,
} from './harness.mjs';

const SECRET = 'cron-secret-of-this-test';
const PATH = '/api/admin/billing/reconciliation';
const DAY = 24 * HOUR;
let company, service, stripe, admin, bob, customer, from, to;
const environment = () => ({
  CRON_SECRET: SECRET, STRIPE_SECRET_KEY: stripe.secretKey, BINNACLE_STRIPE_API_URL: stripe.url,
  BINNACLE_STRIPE_ATTEMPTS: '2', BINNACLE_RATE_LIMIT_SCALE: '100',
});
const toStripe = async (path, parameters) => {
  const answer = await fetch(`${stripe.url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stripe.secretKey}`, 'idempotency-key': JSON.stringify(parameters) },
    body: new URLSearchParams(parameters),
  });
  assert.ok(answer.ok, await answer.clone().text());
  return answer.json();
};

before(async () => {
  stripe = await startStripe();
  const today = startOfDay(await awayFromTheHour());
  [from, to] = [iso(today - 2 * DAY).slice(0, 10), iso(today - DAY).slice(0, 10)];
  company = await startCompany({ env: environment(),
    standIn: ['--namespaces', 'analytics,recommender,nobodys'] });
  ({ service, admin } = company);
  bob = await service.token('bob@example.com');
  for (const name of ['analytics', 'recommender'])
    await service.project('bob@example.com', 'alpha', name);
  expect(await service.call('POST', '/api/admin/usage/collect',
    { token: admin, body: { from: iso(today - 2 * DAY), to: iso(today) } }), 200);

  customer = (await toStripe('/v1/customers', { email: 'bob@example.com' })).id;
  const id = subjectOf(bob);
  service.sql(`UPDATE users SET billing_mode = 'postpaid' WHERE id = '${id}';
    INSERT INTO stripe_customers (user_id, customer_id, created_at) VALUES ('${id}', '${customer}', now());
    INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at, updated_at)
      VALUES ('sub_bob', '${id}', '${customer}', 'usage', 'active', now(), now(), now());
    INSERT INTO credit_accounts (user_id) VALUES ('${id}')`);
  expect(await service.call('POST', '/api/billing/sync-stripe',
    { headers: { Authorization: `Bearer ${SECRET}` } }), 200);
});
after(async () => {
  await company?.stop();
  await stripe?.close();
});

const compare = (query = '') =>
  service.call('GET', `${PATH}?from=${from}&to=${to}${query}`, { token: admin });
/// Runs `sql`, compares, runs `undo`.
async function forged(sql, undo, query = '') {
  service.sql(sql);
  try {
    return expect(await compare(query), 200).json;
  } finally {
    service.sql(undo);
  }
}
const first = (sql) => service.sql(sql)[0];

test('from OpenCost to Stripe, the books agree', async () => {
  const body = expect(await compare('&stripe=true&opencost=true'), 200).json;
  assert.deepEqual(body.differences, []);
  assert.deepEqual(body.incomplete, []);
  assert.deepEqual([body.agrees, body.differenceCount, body.from, body.to, body.userId],
    [true, 0, from, to, null]);
  const rows = Object.fromEntries(body.comparisons.map((c) => [c.comparison, c.rows]));
  assert.deepEqual(rows, { opencost: 48 * 3, hour_price: 48 * 3, project_day: 4, day: 2,
    month: from.slice(0, 7) === to.slice(0, 7) ? 1 : 2, meter_amount: 6, meter_remainder: 6, stripe: 6, ledger: 1 });
});

test('without a range it compares the 35 days up to yesterday, and only what was asked for', async () => {
  const body = expect(await service.call('GET', PATH, { token: admin }), 200).json;
  assert.equal(body.to, to);
  assert.equal((Date.parse(body.to) - Date.parse(body.from)) / DAY, 34);
  assert.deepEqual(body.comparisons.map((c) => c.comparison),
    ['hour_price', 'project_day', 'day', 'month', 'meter_amount', 'meter_remainder', 'ledger']);
});

test('one user alone can be compared', async () => {
  const body = expect(await compare(`&userId=${subjectOf(bob)}&opencost=true&stripe=true`), 200).json;
  assert.deepEqual([body.agrees, body.userId], [true, subjectOf(bob)]);
  assert.equal(body.comparisons.find((c) => c.comparison === 'hour_price').rows, 96);
  assert.equal(body.comparisons.find((c) => c.comparison === 'opencost').rows, 96);
});

test('an hour whose cost was forged is named, to the row and the column', async () => {
  const where = `WHERE namespace = 'analytics' AND hour = '${from}T07:00:00Z'`;
  const [[cost]] = [service.sql(`SELECT compute_cost FROM usage_hourly ${where}`)[0]];
  const body = await forged(`UPDATE usage_hourly SET compute_cost = compute_cost + 1 ${where}`,
    `UPDATE usage_hourly SET compute_cost = ${cost} ${where}`);
  assert.equal(body.agrees, false);
  const [d] = body.differences;
  assert.deepEqual({ ...d, expected: undefined, actual: undefined }, {
    comparison: 'hour_price', userId: subjectOf(bob), date: from, cluster: 'alpha',
    namespace: 'analytics', hour: `${from}T07:00:00Z`, meter: null, identifier: null,
    what: 'compute_cost', against: 'price list', expected: undefined, actual: undefined });
  assert.equal(units(d.actual) - units(d.expected), 10n ** 12n);
  assert.equal(units(d.expected), units(cost));
  assert.deepEqual(body.differences.slice(1).map((x) => x.comparison), ['project_day']);
});

test('quantities that nobody could price otherwise are found by asking OpenCost', async () => {
  const where = `WHERE namespace = 'nobodys' AND hour = '${to}T23:00:00Z'`;
  const [cpu, upstream] = first(`SELECT cpu_hours, upstream_cost FROM usage_hourly ${where}`);
  const body = await forged(`UPDATE usage_hourly SET upstream_cost = 99 ${where}`,
    `UPDATE usage_hourly SET upstream_cost = ${upstream} ${where}`, '&opencost=true');
  assert.ok(Number(cpu) >= 0);
  assert.deepEqual(body.differences, [{
    comparison: 'opencost', userId: null, date: to, cluster: 'alpha', namespace: 'nobodys',
    hour: `${to}T23:00:00Z`, meter: null, identifier: null, what: 'upstream_cost',
    expected: body.differences[0].expected, against: 'OpenCost', actual: '99' }]);
  assert.equal(units(body.differences[0].expected), units(upstream));
});

for (const [what, table, column, where, expected] of [
  ['a project\'s day', 'usage_project_daily', 'cpu_hours', () => `namespace = 'recommender' AND day = '${to}'`,
    (d) => d.comparison === 'project_day' && d.namespace === 'recommender' && d.date === to && d.what === 'cpu_hours'],
  ['a user\'s day', 'usage_daily', 'compute_cost', () => `day = '${from}'`,
    (d) => d.comparison === 'day' && d.userId === subjectOf(bob) && d.date === from && d.what === 'compute_cost'],
  ['a user\'s month', 'usage_monthly', 'storage_cost', () => `month = '${to.slice(0, 7)}-01'`,
    (d) => d.comparison === 'month' && d.userId === subjectOf(bob) && d.date === `${to.slice(0, 7)}-01`
      && d.what === 'storage_cost'],
]) {
  test(`${what} that was forged is named`, async () => {
    const [value] = first(`SELECT ${column} FROM ${table} WHERE ${where()}`);
    const body = await forged(`UPDATE ${table} SET ${column} = ${column} + 1 WHERE ${where()}`,
      `UPDATE ${table} SET ${column} = ${value} WHERE ${where()}`);
    assert.ok(expected(body.differences.find((d) => units(d.actual) - units(d.expected) === 10n ** 12n)));
  });
}

test('a meter report that was forged is named by its identifier', async () => {
  const [identifier] = first(`SELECT identifier FROM meter_reports
    WHERE meter = 'compute_credits' AND day = '${from}'`);
  const where = `WHERE identifier = '${identifier}'`;
  const body = await forged(`UPDATE meter_reports SET amount = amount + 7, value = value + 7 ${where}`,
    `UPDATE meter_reports SET amount = amount - 7, value = value - 7 ${where}`, '&stripe=true');
  assert.deepEqual(body.differences.map((d) => [d.comparison, d.identifier, d.date, d.meter, d.what]), [
    ['meter_amount', identifier, from, 'compute_credits', 'amount'],
    ['stripe', customer, from, 'compute_credits', 'value']]);
  assert.equal(units(body.differences[1].expected) - units(body.differences[1].actual), 7n * 10n ** 12n);
});

test('a remainder that got lost is named', async () => {
  const [remainder] = first(`SELECT remainder FROM meter_remainders WHERE meter = 'compute_credits'`);
  const body = await forged(`UPDATE meter_remainders SET remainder = remainder / 2 + 0.1`,
    `UPDATE meter_remainders SET remainder = (remainder - 0.1) * 2`);
  assert.ok(units(remainder) >= 0n);
  const d = body.differences.find((x) => x.meter === 'compute_credits');
  assert.deepEqual([d.comparison, d.what, d.against], ['meter_remainder', 'carried_out', 'meter_remainders']);
  assert.match(d.identifier, /^\d+:compute_credits:0$/);
});

test('a ledger that does not add up is named', async () => {
  const id = subjectOf(bob);
  const body = await forged(`UPDATE credit_accounts SET balance = 5 WHERE user_id = '${id}'`,
    `UPDATE credit_accounts SET balance = 0 WHERE user_id = '${id}'`);
  assert.deepEqual(body.differences.map((d) => [d.comparison, d.userId, d.what]),
    [['ledger', id, 'the account says 5, the entries sum to 0']]);
});

test('the differences are to be had as a file', async () => {
  const where = `WHERE day = '${from}'`;
  const [value] = first(`SELECT compute_cost FROM usage_daily ${where}`);
  service.sql(`UPDATE usage_daily SET compute_cost = -1 ${where}`);
  const answer = expect(await compare('&format=csv'), 200);
  service.sql(`UPDATE usage_daily SET compute_cost = ${value} ${where}`);
  assert.equal(answer.headers['content-type'], 'text/csv; charset=utf-8');
  assert.equal(answer.headers['content-disposition'],
    `attachment; filename="reconciliation-${from}-${to}.csv"`);
  const [heading, line] = answer.text.split('\r\n');
  assert.equal(heading, 'comparison,userId,date,cluster,namespace,hour,meter,identifier,what,expected,against,actual');
  assert.ok(line.startsWith(`day,${subjectOf(bob)},${from},,,,,,compute_cost,`), line);
  assert.ok(line.endsWith(',usage_project_daily,-1'), line);
});

test('the command says the same, and its exit tells whether the books agree', async () => {
  const range = ['--from', from, '--to', to];
  const good = await service.cli(['reconcile', ...range, '--stripe', '--opencost']);
  assert.equal(good.code, 0, good.stderr + good.stdout);
  assert.match(good.stdout, /The books agree\.\n$/);
  assert.match(good.stdout, /opencost +144 rows, 0 differences/);

  const where = `WHERE day = '${from}'`;
  const [value] = first(`SELECT total_credits FROM usage_daily ${where}`);
  service.sql(`UPDATE usage_daily SET total_credits = 0.5 ${where}`);
  try {
    const bad = await service.cli(['reconcile', ...range, '--user', 'Bob@example.com']);
    assert.equal(bad.code, 1, bad.stderr);
    assert.match(bad.stdout,
      new RegExp(`day: ${subjectOf(bob)}, ${from}: credits is 0\\.5, should be [0-9.]+ \\(usage_project_daily\\)`));
    const json = await service.cli(['reconcile', ...range, '--json']);
    assert.equal(json.code, 1);
    assert.equal(JSON.parse(json.stdout).differences[0].actual, '0.5');
    const csv = await service.cli(['reconcile', ...range, '--csv']);
    assert.match(csv.stdout, /\r\nday,.*,credits,/);
  } finally {
    service.sql(`UPDATE usage_daily SET total_credits = ${value} ${where}`);
  }
  assert.equal((await service.cli(['reconcile', '--user', 'nobody@example.com'])).code, 1);
});

test('an upstream that cannot tell makes a comparison incomplete, and no difference', async () => {
  await company.standIn.fail({ kind: 'status', status: 403, times: 50 });
  const gone = expect(await compare('&opencost=true'), 200).json;
  await company.standIn.recover();
  assert.deepEqual([gone.agrees, gone.differenceCount], [false, 0]);
  assert.match(gone.incomplete[0], /^OpenCost of alpha at /);

  await request(stripe.control, 'POST', '/faults',
    { body: [{ kind: 'status', status: 500, times: 50, match: 'event_summaries' }] });
  const silent = expect(await compare('&stripe=true'), 200).json;
  await request(stripe.control, 'DELETE', '/faults');
  assert.deepEqual([silent.agrees, silent.differenceCount], [false, 0]);
  assert.match(silent.incomplete[0], /^Stripe's count of \w+ for cus_/);
});

for (const [query, field] of [
  ['from=yesterday', 'from'], ['to=2026-13-01', 'to'], ['from=2026-02-02&to=2026-02-01', 'from'],
  ['from=2020-01-01&to=2020-12-31', 'from'], ['to=2199-01-01', 'to'], ['stripe=yes', 'stripe'],
  ['opencost=1', 'opencost'], ['from=2026-01-01&to=2026-01-31&opencost=true', 'opencost'],
  ['format=xml', 'format'],
])
  test(`${query} is refused, naming ${field}`, async () => {
    const body = expect(await service.call('GET', `${PATH}?${query}`, { token: admin }), 400).json;
    assert.equal(body.details, field);
  });

test('an unknown user is 404', async () => {
  expect(await compare('&userId=usr_unknown'), 404, { error: 'User not found' });
});

test('a comparison of all users shows in the metrics', async () => {
  expect(await compare(), 200);
  const { text } = await service.call('GET', '/metrics');
  assert.match(text, /^binnacle_reconciliation_differences\{comparison="hour_price"\} 0$/m);
  const [, at] = /^binnacle_reconciliation_last_run_seconds (\S+)$/m.exec(text);
  assert.ok(Math.abs(Date.now() / 1000 - Number(at)) < 60);
});

test('what Stripe counts and nobody reported is a difference', async () => {
  await toStripe('/v1/billing/meter_events', { event_name: 'compute_credits',
    identifier: 'not-ours', timestamp: String(Date.parse(from) / 1000 + 3600),
    'payload[stripe_customer_id]': customer, 'payload[value]': '3' });
  const { differences } = expect(await compare('&stripe=true'), 200).json;
  assert.deepEqual(differences.map((d) => [d.comparison, d.userId, d.date, d.meter, d.identifier]),
    [['stripe', subjectOf(bob), from, 'compute_credits', customer]]);
  assert.equal(units(differences[0].actual) - units(differences[0].expected), 3n * 10n ** 12n);
});

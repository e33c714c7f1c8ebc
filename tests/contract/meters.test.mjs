import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startStripe } from '../upstreams/stripe.mjs';
import { call as request, expect, startService } from './harness.mjs';

const SECRET = 'cron-secret-of-this-test';
const PATH = '/api/billing/sync-stripe';
const authorised = { headers: { Authorization: `Bearer ${SECRET}` } };
const DAY = 86_400_000;
const dayBefore = (days) => new Date(Date.now() - days * DAY).toISOString().slice(0, 10);
let service, stripe, customers = 0;

before(async () => {
  stripe = await startStripe();
  service = await startService({
    env: {
      CRON_SECRET: SECRET,
      STRIPE_SECRET_KEY: stripe.secretKey,
      BINNACLE_STRIPE_API_URL: stripe.url,
      BINNACLE_STRIPE_ATTEMPTS: '2',
    },
  });
});
after(async () => {
  await service?.stop();
  await stripe?.close();
});
beforeEach(() => control('DELETE', '/faults'));

const control = async (method, path, body) => {
  const answer = await request(stripe.control, method, path, { body });
  assert.ok(answer.status < 300, answer.text);
  return answer.json;
};
/// What Stripe has counted for a customer.
const counted = async (customer, meter = 'compute_credits') =>
  String((await control('GET', `/meters/${meter}/totals`)).customers[customer]?.sum ?? 0);
const sync = async () => expect(await service.call('POST', PATH, authorised), 200).json;

/// Somebody who pays afterwards, with a usage subscription.
async function payer({ status = 'active', mode = 'postpaid', known = true } = {}) {
  customers += 1;
  const number = customers;
  const email = `payer${number}@example.com`;
  await service.token(email);
  const [[id]] = service.sql(`SELECT id FROM users WHERE email = '${email}'`);
  let customer = `cus_unknown_${number}`;
  if (known)
    customer = (await (await fetch(`${stripe.url}/v1/customers`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stripe.secretKey}`, 'idempotency-key': email },
      body: new URLSearchParams({ email }),
    })).json()).id;
  service.sql(`UPDATE users SET billing_mode = '${mode}' WHERE id = '${id}';
    INSERT INTO stripe_customers (user_id, customer_id, created_at) VALUES ('${id}', '${customer}', now());
    INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at, updated_at)
      VALUES ('sub_${number}', '${id}', '${customer}', 'usage', '${status}', now(), now(), now())`);
  return { id, customer };
}

/// A user's day as the collector would leave it.
const book = (who, day, credits, gigabyteHours = 0) => service.sql(`
  INSERT INTO usage_daily AS d (user_id, day, opencost_cpu_hours, opencost_gpu_hours,
    opencost_ram_gb_hours, opencost_total_cost, online_storage_gb_hours, offline_storage_gb_hours,
    online_storage_gb, offline_storage_gb, total_credits, compute_cost, storage_cost, created_at, updated_at)
  VALUES ('${who.id}', '${day}', 0, 0, 0, 0, ${gigabyteHours}, 0, 0, 0, ${credits}, 0, 0, now(), now())
  ON CONFLICT (user_id, day) DO UPDATE SET total_credits = EXCLUDED.total_credits,
    online_storage_gb_hours = EXCLUDED.online_storage_gb_hours,
    revision = d.revision + 1, reported_to_stripe = false`);
const reported = (who, day) => service.sql(
  `SELECT reported_to_stripe FROM usage_daily WHERE user_id = '${who.id}' AND day = '${day}'`)[0][0] === 't';
const statesOf = (who) => service.sql(`SELECT DISTINCT state FROM meter_reports
  WHERE user_id = '${who.id}' AND value <> 0`).flat();

test('without the secret nobody reports, whoever he is', async () => {
  for (const method of ['GET', 'POST']) {
    expect(await service.call(method, PATH), 401, { error: 'Unauthorized' });
    expect(await service.call(method, PATH, { token: await service.adminToken() }), 401,
      { error: 'Unauthorized' });
  }
  expect(await service.call('DELETE', PATH), 401, { error: 'Unauthorized' });
  expect(await service.call('DELETE', PATH, authorised), 405, { error: 'Method not allowed' });
});

test('with nothing to report it says so', async () => {
  for (const method of ['GET', 'POST']) {
    const answer = expect(await service.call(method, PATH, authorised), 200);
    assert.deepEqual(answer.json, { message: 'No unreported usage found', date: dayBefore(1) });
    assert.equal(answer.headers['cache-control'], 'no-store');
  }
});

test('a day is reported once, in whole hundredths of a credit and six decimals of a gigabyte-month', async () => {
  const who = await payer();
  const day = dayBefore(1);
  const [year, month] = day.split('-').map(Number);
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  book(who, day, '1.239', 24 * days);

  const { message, results } = await sync();
  assert.equal(message, 'Usage sync completed');
  assert.deepEqual([results.successful, results.failed, results.errors], [1, 0, []]);
  assert.equal(await counted(who.customer), '123');
  assert.equal(await counted(who.customer, 'storage_online_gb'), '1');
  assert.ok(reported(who, day));

  assert.equal((await sync()).message, 'No unreported usage found');
  assert.equal(await counted(who.customer), '123');
});

test('a disputed report waits until a person has decided about it', async () => {
  const who = await payer();
  book(who, dayBefore(1), '1');
  await sync();
  const [[identifier]] = service.sql(`UPDATE meter_reports SET state = 'disputed',
    delivered_at = NULL, failure = 'Stripe counts 40' WHERE payer_id = '${who.id}' AND value <> 0
    RETURNING identifier`);

  const { stdout } = await service.cli(['disputes']);
  assert.match(stdout, new RegExp(`^${identifier} .* compute_credits  100  Stripe counts 40$`, 'm'));
  assert.equal((await service.cli(['disputes', identifier])).code, 2);
  assert.equal((await service.cli(['disputes', identifier, '--taken'])).code, 0);

  assert.deepEqual(statesOf(who), ['delivered']);
  assert.equal((await service.cli(['disputes', identifier, '--not-taken'])).code, 1);
});

test('what is less than a hundredth is carried to the next day', async () => {
  const who = await payer();
  for (const day of [4, 3, 2]) book(who, dayBefore(day), '0.005');
  await sync();
  assert.equal(await counted(who.customer), '1');
  book(who, dayBefore(1), '0.005');
  await sync();
  assert.equal(await counted(who.customer), '2');
});

test('days that were missed are reported later, up to what Stripe takes', async () => {
  const who = await payer();
  for (const day of [36, 34, 10, 1]) book(who, dayBefore(day), '1');
  const { results } = await sync();
  assert.equal(results.successful, 3);
  assert.equal(await counted(who.customer), '300');
  assert.ok(!reported(who, dayBefore(36)));
});

test('a corrected day is reported by the difference, down as well', async () => {
  const who = await payer();
  const day = dayBefore(2);
  book(who, day, '2');
  await sync();
  book(who, day, '2.5');
  await sync();
  assert.equal(await counted(who.customer), '250');
  book(who, day, '1');
  await sync();
  assert.equal(await counted(who.customer), '100');
  assert.deepEqual(service.sql(`SELECT revision, value::float8 FROM meter_reports
    WHERE user_id = '${who.id}' AND meter = 'compute_credits' ORDER BY revision`),
    [['0', '200'], ['1', '50'], ['2', '-150']]);
});

test('the usage of whoever does not pay afterwards, or has no active subscription, waits', async () => {
  const waiting = await Promise.all([payer({ mode: 'prepaid' }), payer({ status: 'canceled' })]);
  for (const who of waiting) book(who, dayBefore(1), '1');
  assert.equal((await sync()).message, 'No unreported usage found');

  service.sql(`UPDATE users SET billing_mode = 'postpaid' WHERE id = '${waiting[0].id}';
    UPDATE subscriptions SET status = 'active' WHERE user_id = '${waiting[1].id}'`);
  // What was used while it was paid in advance is paid.
  assert.equal((await sync()).results.successful, 1);
  assert.equal(await counted(waiting[0].customer), '0');
  assert.equal(await counted(waiting[1].customer), '100');
});

test('an answer that is lost after the effect counts once', async () => {
  const who = await payer();
  book(who, dayBefore(1), '1');
  await control('POST', '/faults', { kind: 'reset-after-apply', match: 'meter_events' });
  const { results } = await sync();
  assert.deepEqual([results.successful, results.failed], [1, 0]);
  assert.equal(await counted(who.customer), '100');
});

for (const [what, fault, expected] of [
  ['happened', { kind: 'truncate' }, '100'],
  ['did not happen', { kind: 'reset-before' }, '0'],
])
  test(`a report whose outcome is unknown and that ${what} is repeated under its identifier`, async () => {
    const who = await payer();
    book(who, dayBefore(1), '1');
    await control('POST', '/faults', { ...fault, match: 'meter_events', times: 99 });
    const { results } = await sync();
    await control('DELETE', '/faults');
    assert.deepEqual([results.successful, results.failed], [0, 1]);
    assert.equal(await counted(who.customer), expected);
    assert.deepEqual(statesOf(who), ['sent']);
    assert.ok(!reported(who, dayBefore(1)));

    assert.equal((await sync()).results.successful, 1);
    assert.equal(await counted(who.customer), '100');
    assert.ok(reported(who, dayBefore(1)));
  });

for (const [what, fault, kept] of [
  ['has counted', { kind: 'truncate' }, true],
  ['has not counted', { kind: 'reset-before' }, false],
])
  test(`a day later, a report that Stripe ${what} is settled by Stripe's summaries`, async () => {
    const who = await payer();
    book(who, dayBefore(1), '1');
    await control('POST', '/faults', { ...fault, match: 'meter_events', times: 99 });
    await sync();
    await control('DELETE', '/faults');
    service.sql(`UPDATE meter_reports SET first_sent_at = first_sent_at - interval '30 hours',
      last_sent_at = last_sent_at - interval '30 hours' WHERE user_id = '${who.id}'`);
    await control('DELETE', '/requests');

    const { results } = await sync();
    assert.equal(results.settled, 1);
    const sent = (await control('GET', '/requests')).filter(({ url }) => url.endsWith('/meter_events'));
    assert.equal(sent.length, kept ? 0 : 1, 'sent again only when Stripe has not got it');
    assert.equal(await counted(who.customer), '100');
    assert.deepEqual(statesOf(who), ['delivered']);
  });

test("when Stripe's count fits neither, nobody guesses: the report is disputed", async () => {
  const who = await payer();
  book(who, dayBefore(1), '1');
  await control('POST', '/faults', { kind: 'reset-before', match: 'meter_events', times: 99 });
  await sync();
  await control('DELETE', '/faults');
  await fetch(`${stripe.url}/v1/billing/meter_events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stripe.secretKey}`, 'idempotency-key': `foreign-${who.id}` },
    body: new URLSearchParams({
      event_name: 'compute_credits',
      'payload[stripe_customer_id]': who.customer,
      'payload[value]': '7',
      timestamp: String(Date.parse(dayBefore(1)) / 1000),
    }),
  });
  service.sql(`UPDATE meter_reports SET first_sent_at = first_sent_at - interval '30 hours',
    last_sent_at = last_sent_at - interval '30 hours' WHERE user_id = '${who.id}'`);
  const { results } = await sync();
  assert.equal(results.disputed, 1);
  assert.match(results.errors.join(), /fits neither/);
  assert.deepEqual(statesOf(who), ['disputed']);
  service.sql(`DELETE FROM meter_reports WHERE user_id = '${who.id}';
    DELETE FROM usage_daily WHERE user_id = '${who.id}'`);
});

test('a refusal is shown and tried again by the next run, and holds up nobody else', async () => {
  const stranger = await payer({ known: false });
  const who = await payer();
  for (const each of [stranger, who]) book(each, dayBefore(1), '1');
  const { results } = await sync();
  assert.deepEqual([results.successful, results.failed, results.errors.length], [1, 1, 1]);
  assert.match(results.errors[0], /:compute_credits:0: /);
  assert.equal(await counted(who.customer), '100');
  assert.deepEqual(statesOf(stranger), ['waiting']);
  assert.equal((await sync()).results.failed, 1);
  service.sql(`DELETE FROM meter_reports WHERE user_id = '${stranger.id}';
    DELETE FROM usage_daily WHERE user_id = '${stranger.id}'`);
});

test('two runs at once report everything once', async () => {
  const payers = await Promise.all(Array.from({ length: 8 }, () => payer()));
  for (const who of payers) book(who, dayBefore(1), '1');
  await Promise.all([sync(), sync(), service.good(['sync-stripe'])]);
  for (const who of payers) assert.equal(await counted(who.customer), '100');
});

test('the command tells what it would report, and reports it', async () => {
  const who = await payer();
  book(who, dayBefore(1), '0.5');
  const dry = JSON.parse(await service.good(['sync-stripe', '--dry-run']));
  const mine = dry.reports.find(({ userId, meter }) => userId === who.id && meter === 'compute_credits');
  assert.deepEqual([mine.date, mine.value, mine.carriedOut], [dayBefore(1), 50, 0]);
  assert.equal(service.sql(`SELECT count(*) FROM meter_reports WHERE user_id = '${who.id}'`)[0][0], '0');

  assert.equal(JSON.parse(await service.good(['sync-stripe'])).results.successful, 1);
  assert.equal(await counted(who.customer), '50');
});

test('without a key the service is whole, and says what is missing', async () => {
  const plain = await startService({ env: { CRON_SECRET: SECRET } });
  try {
    expect(await plain.call('POST', PATH, authorised), 500, { error: 'stripe_not_configured' });
    const ended = await plain.cli(['sync-stripe']);
    assert.equal(ended.code, 2);
    assert.match(ended.stderr, /stripe_not_configured/);
  } finally {
    await plain.stop();
  }
});

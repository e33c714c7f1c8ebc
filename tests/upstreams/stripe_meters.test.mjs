import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { started } from './lib/stripe/testing.mjs';

const DAY = 86_400;
const NOW = Date.parse('2026-03-10T12:00:00Z') / 1000;
const TODAY = NOW - (NOW % DAY);

/// At noon, with a customer and a way to send events for it.
const metered = async (test, options) => {
  const stripe = await started(test, options);
  await stripe.command('POST', '/clock', { now: NOW });
  const {
    body: { id: customer },
  } = await stripe.post('/v1/customers');
  const send = (value, more = {}, key = undefined) =>
    stripe.post(
      '/v1/billing/meter_events',
      { event_name: 'compute_credits', payload: { stripe_customer_id: customer, value }, ...more },
      key,
    );
  const summaries = (query) =>
    stripe.get(
      `/v1/billing/meters/mtr_compute_credits/event_summaries?customer=${customer}&${query}`,
    );
  const sums = async () => (await stripe.command('GET', '/meters/compute_credits/totals')).body;
  return { stripe, customer, send, summaries, sums };
};

describe('a meter', () => {
  it('takes events and says what it took', async (test) => {
    const { send, customer } = await metered(test);

    const { status, body } = await send('12.5', { identifier: 'usage-1', timestamp: TODAY });

    assert.equal(status, 200);
    assert.deepEqual(body, {
      object: 'billing.meter_event',
      created: NOW,
      event_name: 'compute_credits',
      identifier: 'usage-1',
      livemode: false,
      payload: { stripe_customer_id: customer, value: '12.5' },
      timestamp: TODAY,
    });
    assert.match((await send('1')).body.identifier, /^[\da-f-]{36}$/);
  });

  it('takes an identifier once in a day', async (test) => {
    const { stripe, send, sums } = await metered(test);
    await send('1', { identifier: 'usage-1' });

    const again = await send('1', { identifier: 'usage-1' });
    assert.equal(again.status, 400);
    assert.equal(again.body.error.message, 'An event already exists with identifier usage-1.');
    assert.equal(again.headers.get('stripe-should-retry'), 'false');
    assert.equal((await sums()).events, 1);

    await stripe.command('POST', '/clock', { now: NOW + DAY });
    assert.equal((await send('1', { identifier: 'usage-1' })).status, 200, 'it has forgotten');
  });

  it('sums exactly, also fractions and corrections', async (test) => {
    const { customer, send, sums } = await metered(test);

    for (const value of ['0.1', '0.2', '-0.05', '0.000000000001', '123456789012345'])
      await send(value);

    assert.deepEqual((await sums()).customers, {
      [customer]: { events: 5, sum: '123456789012345.250000000001' },
    });
  });

  it('shows whole days, the newest first, and leaves out empty ones', async (test) => {
    const { send, summaries } = await metered(test);
    for (const [value, day] of [
      ['1', 3],
      ['2', 1],
      ['3.5', 1],
      ['10', 0],
    ])
      await send(value, { timestamp: TODAY - day * DAY });

    const { body } = await summaries(
      `start_time=${TODAY - 3 * DAY}&end_time=${TODAY}&value_grouping_window=day`,
    );
    assert.deepEqual(
      body.data.map((each) => [each.start_time, each.end_time, each.aggregated_value]),
      [
        [TODAY - DAY, TODAY, 5.5],
        [TODAY - 3 * DAY, TODAY - 2 * DAY, 1],
      ],
    );
    const page = await summaries(
      `start_time=${TODAY - 3 * DAY}&end_time=${TODAY}&value_grouping_window=day&limit=1`,
    );
    assert.equal(page.body.has_more, true);
    const rest = await summaries(
      `start_time=${TODAY - 3 * DAY}&end_time=${TODAY}&value_grouping_window=day`
        + `&starting_after=${page.body.data[0].id}`,
    );
    assert.deepEqual(rest.body.data, [body.data[1]]);
    const whole = await summaries(`start_time=${TODAY - 3 * DAY}&end_time=${NOW}`);
    assert.deepEqual(
      whole.body.data.map((each) => each.aggregated_value),
      [16.5],
    );
  });

  it('wants times that fit the window', async (test) => {
    const { summaries } = await metered(test);

    assert.equal(
      (await summaries(`start_time=${TODAY}&end_time=${NOW}&value_grouping_window=day`)).body.error
        .param,
      'end_time',
    );
    assert.equal(
      (await summaries(`start_time=${TODAY + 1}&end_time=${NOW}`)).body.error.param,
      'start_time',
    );
    assert.equal((await summaries(`start_time=${TODAY}&end_time=${TODAY}`)).status, 400);
    assert.equal((await summaries(`start_time=${TODAY}`)).body.error.code, 'parameter_missing');
  });

  it('refuses times that are too old or not yet', async (test) => {
    const { send } = await metered(test);

    assert.equal((await send('1', { timestamp: NOW - 35 * DAY })).status, 200);
    assert.match(
      (await send('1', { timestamp: NOW - 35 * DAY - 1 })).body.error.message,
      /more than 35 days in past/,
    );
    assert.equal((await send('1', { timestamp: NOW + 300 })).status, 200);
    assert.equal((await send('1', { timestamp: NOW + 301 })).body.error.param, 'timestamp');
  });

  it('refuses what is no number, no customer and no meter', async (test) => {
    const { stripe, send, sums } = await metered(test);
    const paramOf = async (answer) => [(await answer).status, (await answer).body.error.param];

    for (const value of ['ten', '1e3', '.5', '1.0000000000001', '+1', ' 1']) {
      assert.deepEqual(await paramOf(send(value)), [400, 'payload[value]'], value);
    }
    assert.deepEqual(
      await paramOf(send('1', { payload: { stripe_customer_id: 'cus_none', value: '1' } })),
      [400, 'payload[stripe_customer_id]'],
    );
    assert.deepEqual(await paramOf(send('1', { payload: { value: '1' } })), [
      400,
      'payload[stripe_customer_id]',
    ]);
    assert.deepEqual(await paramOf(send('1', { event_name: 'steps' })), [400, 'event_name']);
    assert.deepEqual(await paramOf(send('1', { identifier: 'x'.repeat(101) })), [
      400,
      'identifier',
    ]);
    assert.deepEqual(
      await paramOf(stripe.post('/v1/billing/meter_events', { event_name: 'compute_credits' })),
      [400, 'payload'],
    );
    assert.equal((await sums()).events, 0);
  });

  it('works on one event of a customer at a time', async (test) => {
    const { stripe, send, sums } = await metered(test);
    const { body: other } = await stripe.post('/v1/customers');
    await stripe.command('DELETE', '/requests');
    await stripe.command('POST', '/faults', { kind: 'hang', match: 'meter_events' });
    const hanging = send('1').catch(() => 'closed');
    while ((await stripe.command('GET', '/requests')).body.length === 0);

    const locked = await send('2', {}, 'second');
    assert.deepEqual([locked.status, locked.body.error.code], [429, 'lock_timeout']);
    assert.equal((await send('4', { event_name: 'storage_online_gb' })).status, 200);
    const payload = { stripe_customer_id: other.id, value: '8' };
    assert.equal((await send('8', { payload })).status, 200);

    await stripe.command('DELETE', '/faults');
    assert.equal(await hanging, 'closed');
    assert.equal((await send('2', {}, 'second')).status, 200, 'a lock is not kept under the key');
    assert.equal((await sums()).events, 2);
  });

  it('takes its time, if told to', async (test) => {
    const { stripe, send } = await metered(test);
    await stripe.command('POST', '/options', { meterMs: 50 });
    const start = performance.now();

    assert.equal((await send('1')).status, 200);
    assert.ok(performance.now() - start >= 45);
  });

  it('is listed and found', async (test) => {
    const { stripe } = await metered(test);

    assert.deepEqual(
      (await stripe.get('/v1/billing/meters?status=active')).body.data.map(
        (each) => each.event_name,
      ),
      ['compute_credits', 'storage_online_gb', 'storage_offline_gb'],
    );
    assert.equal(
      (await stripe.get('/v1/billing/meters/mtr_compute_credits')).body.default_aggregation.formula,
      'sum',
    );
    assert.equal((await stripe.get('/v1/billing/meters/mtr_none')).status, 404);
  });
});

/// Stripe's webhooks: who may bring them, what they do (hub.md §10, platform.md §6), and what admins
/// see of them.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { PRODUCTS } from './stripe.mjs';
import { signPayload } from '../upstreams/stripe.mjs';
import { started } from '../upstreams/lib/stripe/testing.mjs';

const SECRET = 'whsec_new', OLD_SECRET = 'whsec_old';
const PLATFORM = '/api/webhooks/stripe', HUB = '/api/billing/stripe-webhook';
const EVENTS = '/api/admin/billing/events';

let stripe, service, admin;
const closing = [];
const seconds = () => Math.floor(Date.now() / 1000);

before(async () => {
  stripe = await started({ after: (close) => closing.push(close) });
  service = await startService({
    env: {
      STRIPE_SECRET_KEY: stripe.secretKey,
      STRIPE_WEBHOOK_SECRET: `${SECRET},${OLD_SECRET}`,
      BINNACLE_STRIPE_API_URL: stripe.url,
      BINNACLE_STRIPE_ATTEMPTS: '1',
      BINNACLE_STRIPE_HEAL_INTERVAL: '1s',
      PRICING_TABLE: '{"pro":"price_pro_monthly","premium":"price_premium_monthly"}',
    },
  });
  admin = await service.adminToken();
});
after(async () => {
  await service?.stop();
  for (const close of closing) await close();
});

/// A webhook as Stripe sends it; `header` replaces the signature, null leaves it out.
function send(event, { path = PLATFORM, secret = SECRET, time = seconds(), header, from } = {}) {
  const body = typeof event === 'string' ? event : JSON.stringify(event, null, 2);
  const signature = header === undefined ? signPayload(body, secret, time) : header;
  return service.call('POST', path, { body, from,
    headers: { 'Content-Type': 'application/json; charset=utf-8',
      ...(signature !== null && { 'Stripe-Signature': signature }) } });
}

let number = 0;
/// An event that is worked on and changes nothing here: it names no payment.
const someEvent = (more = {}) => ({ id: `evt_test_${process.pid}_${(number += 1)}`, object: 'event',
  api_version: '2025-06-30.basil', created: seconds(), livemode: false, type: 'charge.refunded',
  data: { object: { id: 'ch_1', object: 'charge', customer: null } }, ...more });

const inbox = (id) => {
  const [row] = service.sql(`SELECT state, attempts, source, object_key FROM stripe_events WHERE id = '${id}'`);
  return row && { state: row[0], attempts: Number(row[1]), source: row[2], key: row[3] };
};
const applied = (id) => until(`${id} is applied`, () => inbox(id)?.state === 'applied');

let seen = 0;
/// What Stripe has made since the last call.
function newEvents() {
  const all = stripe.account.events.all;
  return all.slice(seen, (seen = all.length));
}
/// Sends them and waits until they are applied.
async function deliver(events = newEvents(), options) {
  for (const event of events) expect(await send(event, options), 200, { received: true });
  for (const event of events) await applied(event.id);
  return events;
}
beforeEach(() => { newEvents(); });

const value = (sql) => service.sql(sql)[0]?.[0];
const statusOf = (id) => value(`SELECT status FROM users WHERE id = '${id}'`);
const planOf = (id) => value(`SELECT plan FROM users WHERE id = '${id}'`);
const creditsOf = (id) => value(`SELECT coalesce(sum(tenths), 0) FROM credit_entries WHERE user_id = '${id}'`);

/// A user with a customer at Stripe.
async function customerUser(name, { mode = 'postpaid' } = {}) {
  const token = await service.token(`${name}@example.com`);
  const id = subjectOf(token);
  service.changeUser(id, `billing_mode = ${mode ? `'${mode}'` : 'NULL'}`);
  const made = await stripe.post('/v1/customers', { email: `${name}@example.com` });
  const customer = made.body.id;
  service.sql(`INSERT INTO stripe_customers (user_id, customer_id, created_at)
    VALUES ('${id}', '${customer}', now())`);
  newEvents();
  return { id, customer, token };
}
async function subscribe(customer, price, kind = 'plan') {
  await stripe.act({ addCard: { customer } });
  const made = await stripe.post('/v1/subscriptions', { customer, items: [{ price }], metadata: { kind } });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  return made.body;
}

// -- signatures --------------------------------------------------------------------------------------

for (const [path, refusal] of [
  [PLATFORM, (reason) => [400, 'text/plain; charset=utf-8', `Webhook Error: ${reason}`]],
  [HUB, () => [400, 'application/json; charset=utf-8', '{"error":true,"message":"Invalid signature"}']],
]) {
  test(`${path} takes what Stripe has signed`, async () => {
    const event = someEvent();
    expect(await send(event, { path }), 200, { received: true });
    await applied(event.id);
  });

  test(`${path} refuses what Stripe has not signed, and stores nothing`, async () => {
    const event = someEvent();
    const body = JSON.stringify(event, null, 2);
    const signed = signPayload(body, SECRET);
    const [time, v1] = signed.split(',');
    for (const [reason, options] of [
      ['The Stripe-Signature header is missing', { header: null }],
      ['The Stripe-Signature header is missing', { header: '' }],
      ['The Stripe-Signature header has no timestamp', { header: v1 }],
      ['The Stripe-Signature header has no v1 signature', { header: time }],
      ['The Stripe-Signature header has no v1 signature', { header: signed.replace('v1=', 'v0=') }],
      ['No signature matches', { secret: 'whsec_other' }],
      ['No signature matches', { header: `${time},v1=${'0'.repeat(64)}` }],
      ['No signature matches', { header: signed.replace(/t=\d+/, `t=${seconds() + 7}`) }],
      ['The signature is too old', { time: seconds() - 310 }],
      ['The signature is from the future', { time: seconds() + 310 }],
    ]) {
      const answer = await send(event, { path, ...options });
      assert.deepEqual([answer.status, answer.headers['content-type'], answer.text], refusal(reason));
    }
    assert.equal(inbox(event.id), undefined);
  });

  test(`${path} wants the bytes that were signed`, async () => {
    const event = someEvent();
    const pretty = JSON.stringify(event, null, 2);
    const header = signPayload(pretty, SECRET);
    assert.equal((await send(JSON.stringify(event), { path, header })).status, 400);
    assert.equal((await send(`${pretty}\n`, { path, header })).status, 400);
    expect(await send(pretty, { path, header }), 200);
  });

  test(`${path} refuses a body that is no event, and one that is too long`, async () => {
    for (const body of ['[]', '{}', 'words', '{"object":"event","id":"evt_1"}'])
      assert.equal((await send(body, { path })).status, 400, body);
    assert.equal((await send(JSON.stringify({ ...someEvent(), x: 'x'.repeat(1_048_576) }), { path })).status, 413);
    assert.equal((await service.call('GET', path)).status, 405);
  });

  test(`${path} says so when Stripe is not configured`, async () => {
    const bare = await startService();
    try {
      const answer = await bare.call('POST', path, { body: {} });
      expect(answer, 500, path === HUB ? { error: true, message: 'Stripe not configured' }
        : { error: 'Webhook processing failed' });
    } finally {
      await bare.stop();
    }
  });
}

test('either secret is good while one replaces the other, and one of several signatures is enough', async () => {
  for (const secret of [OLD_SECRET, [OLD_SECRET, SECRET], ['whsec_other', SECRET]])
    expect(await send(someEvent(), { secret }), 200);
});

test('a clock may be wrong by less than the tolerance, on either side', async () => {
  for (const skew of [-290, 290]) expect(await send(someEvent(), { time: seconds() + skew }), 200);
});

test('what the official package signs is taken', async () => {
  const { Stripe } = await import('../upstreams/lib/stripe/official.mjs');
  const payload = JSON.stringify(someEvent(), null, 2);
  const header = Stripe.webhooks.generateTestHeaderString({ payload, secret: SECRET });
  for (const path of [PLATFORM, HUB]) expect(await send(payload, { path, header }), 200);
  const other = Stripe.webhooks.generateTestHeaderString({ payload, secret: 'whsec_other' });
  expect(await send(payload, { header: other }), 400);
});

test('who is genuine is never limited, who is not soon is', async () => {
  const from = '127.0.7.1';
  for (let i = 0; i < 120; ++i) {
    const answer = expect(await send(someEvent(), { from }), 200);
    assert.equal(answer.headers['x-ratelimit-limit'], undefined);
  }
  for (const path of [PLATFORM, HUB]) {
    for (let i = 0; i < 100; ++i) expect(await send(someEvent(), { from, path, secret: 'whsec_x' }), 400);
    const over = expect(await send(someEvent(), { from, path, secret: 'whsec_x' }), 429);
    assert.ok(Number(over.headers['retry-after']) > 0);
    expect(await send(someEvent(), { from, path }), 200);
  }
});

test('refusals are counted by reason', async () => {
  const { text } = await service.call('GET', '/metrics');
  for (const outcome of ['stored', 'no_match', 'no_header', 'too_old', 'in_the_future', 'no_event'])
    assert.match(text, new RegExp(`binnacle_stripe_webhooks_total\\{outcome="${outcome}"\\} [1-9]`));
});

// -- the inbox ---------------------------------------------------------------------------------------

test('an event that comes twice is stored once', async () => {
  const event = someEvent();
  for (let i = 0; i < 3; ++i) expect(await send(event), 200, { received: true });
  expect(await send(event, { path: HUB }), 200, { received: true });
  await applied(event.id);
  expect(await send(event), 200);
  assert.equal(inbox(event.id).attempts, 1);
});

test('an event of a type nobody knows is kept as it came', async () => {
  const event = someEvent({ type: 'some.thing_new' });
  await deliver([event]);
  const shown = expect(await service.call('GET', `${EVENTS}/${event.id}`, { token: admin }), 200).json.event;
  assert.deepEqual(shown.payload, event);
  assert.equal(shown.type, 'some.thing_new');
  assert.equal(shown.object, 'ch_1');
  assert.equal(shown.state, 'applied');
});

test('an event from which nothing follows is applied when it is stored, and can be replayed', async () => {
  const event = someEvent({ type: 'customer.updated' });
  expect(await send(event), 200, { received: true });
  assert.deepEqual(inbox(event.id), { state: 'applied', attempts: 0, source: 'webhook', key: 'ch_1' });
  expect(await service.call('POST', `${EVENTS}/${event.id}/replay`, { token: admin }), 202);
  await until('it is applied again', () => inbox(event.id).attempts === 1 && inbox(event.id).state === 'applied');
});

test('many that come at once are each answered and stored', async () => {
  const events = Array.from({ length: 20 }, (_, i) => someEvent(i % 2 ? { type: 'customer.updated' } : {}));
  const answers = await Promise.all([...events, ...events.slice(0, 5)].map((e) => send(e)));
  assert.deepEqual(answers.map((a) => a.status), Array(25).fill(200));
  for (const event of events) await applied(event.id);
});

for (const type of ['charge.refunded', 'customer.updated'])
  test(`an event of the other mode is kept but not applied: ${type}`, async () => {
    const event = someEvent({ livemode: true, type });
    expect(await send(event), 200);
    await until('it has failed', () => inbox(event.id).state === 'failed');
    const { lastError } = (await service.call('GET', `${EVENTS}/${event.id}`, { token: admin })).json.event;
    assert.match(lastError, /different modes/);
  });

test('what fails is tried again by itself, and seen meanwhile', async () => {
  const { id, customer } = await customerUser('patience');
  await subscribe(customer, 'price_pro_monthly');
  const event = newEvents().find(({ type }) => type === 'customer.subscription.created');
  await stripe.command('POST', '/faults', { kind: 'status', status: 500, match: '/v1/subscriptions/' });
  expect(await send(event), 200);
  await until('it has failed', () => inbox(event.id).state === 'failed');
  const { json } = expect(await service.call('GET', `${EVENTS}?state=failed`, { token: admin }), 200);
  assert.ok(json.events.some((e) => e.id === event.id && e.lastError && e.nextAttemptAt && e.attempts === 1));
  await applied(event.id);
  assert.equal(planOf(id), 'pro');
});

test('admins page through the events, replay one, and leave a trace', async () => {
  const events = await deliver([someEvent(), someEvent(), someEvent()]);
  const first = expect(await service.call('GET', `${EVENTS}?limit=2&type=charge.refunded`, { token: admin }), 200).json;
  assert.deepEqual(first.events.map((e) => e.id), [events[2].id, events[1].id]);
  const second = expect(await service.call('GET',
    `${EVENTS}?limit=2&type=charge.refunded&cursor=${first.nextCursor}`, { token: admin }), 200).json;
  assert.equal(second.events[0].id, events[0].id);

  const replay = (id) => service.call('POST', `${EVENTS}/${id}/replay`, { token: admin });
  expect(await replay(events[0].id), 202, { success: true, message: 'The event will be applied once more' });
  await until('it is applied again', () => inbox(events[0].id).attempts === 2 && inbox(events[0].id).state === 'applied');
  assert.equal(value(`SELECT action FROM audit_log WHERE target = '${events[0].id}'`), 'STRIPE_EVENT_REPLAYED');
  expect(await replay('evt_none'), 404, { error: 'Event not found' });
  expect(await service.call('GET', `${EVENTS}/evt_none`, { token: admin }), 404, { error: 'Event not found' });
  for (const query of ['state=lost', 'cursor=x', 'limit=0', 'limit=201', 'cursor=-1'])
    assert.equal((await service.call('GET', `${EVENTS}?${query}`, { token: admin })).status, 400, query);
});

test('what Stripe could not deliver is fetched', async () => {
  await stripe.command('POST', '/webhooks', { url: 'http://127.0.0.1:1/hook', secret: SECRET });
  await stripe.command('POST', '/webhooks/options', { drop: 1 });
  const event = stripe.account.emit('charge.refunded', { id: 'ch_2', object: 'charge', customer: null });
  try {
    await applied(event.id);
    assert.equal(inbox(event.id).source, 'healer');
  } finally {
    await stripe.command('DELETE', '/webhooks');
    await stripe.command('POST', '/webhooks/options', { drop: 0 });
  }
});

// -- effects -----------------------------------------------------------------------------------------

const buyCredits = async (pack, more) => {
  const session = (await stripe.post('/v1/checkout/sessions', { mode: 'payment',
    success_url: 'https://x.example/ok', cancel_url: 'https://x.example/no',
    line_items: [{ price: `price_credits_${pack}`, quantity: 1 }], ...more })).body;
  await stripe.act({ complete: session.id });
  return newEvents().filter(({ type }) => type === 'checkout.session.completed');
};

test('credits that were paid for are granted once', async () => {
  const id = subjectOf(await service.token('buyer@example.com'));
  const events = await buyCredits(100, { client_reference_id: id,
    metadata: { purpose: 'credits', pack: 100, userId: id } });
  assert.equal(events.length, 1);
  await deliver(events, { path: HUB });
  assert.equal(creditsOf(id), '1000');

  await service.call('POST', `${EVENTS}/${events[0].id}/replay`, { token: admin });
  await until('it is applied again', () => inbox(events[0].id).attempts === 2 && inbox(events[0].id).state === 'applied');
  assert.equal(creditsOf(id), '1000');
});

const soldPack = async (name) => {
  const id = subjectOf(await service.token(`${name}@example.com`));
  const [event] = await buyCredits(100, { client_reference_id: id,
    metadata: { purpose: 'credits', pack: 100, userId: id } });
  return { id, event, session: event.data.object.id };
};
const ledgerOf = (id) => service.sql(`SELECT kind, source, tenths FROM credit_entries
  WHERE user_id = '${id}' ORDER BY id`).map((row) => row.join(' '));
const spend = (id, tenths) => service.sql(`
  UPDATE credit_lots SET remaining = remaining - ${tenths} WHERE user_id = '${id}';
  UPDATE credit_accounts SET balance = balance - ${tenths} WHERE user_id = '${id}';
  INSERT INTO credit_entries (user_id, kind, source, tenths, balance_after, occurred_at, created_at)
    SELECT user_id, 'use', 'job:1', -${tenths}, balance, now(), now() FROM credit_accounts WHERE user_id = '${id}';
  INSERT INTO credit_allocations SELECT e.id, l.id, -${tenths} FROM credit_entries e JOIN credit_lots l USING (user_id)
    WHERE e.user_id = '${id}' AND e.kind = 'use'`);

test('a pack that is refunded is taken back as far as it is unused, once', async () => {
  const { id, event, session } = await soldPack('refunded');
  await deliver([event]);
  spend(id, 600);
  const { id: refund } = await stripe.act({ refund: { session } });
  const events = newEvents();
  assert.ok(events.some(({ type }) => type === 'charge.refunded'));
  await deliver(events);
  await deliver([...events].reverse(), { path: HUB });
  assert.deepEqual(ledgerOf(id), [`grant checkout:${session} 1000`, 'use job:1 -600', `revocation stripe:${refund} -400`]);
  assert.equal(value(`SELECT balance FROM credit_accounts WHERE user_id = '${id}'`), '0');

  const token = await service.token('refunded@example.com');
  const { entries } = expect(await service.call('GET', '/api/billing/explain/credits', { token }), 200).json;
  assert.equal(entries[0].kind, 'revocation');
  assert.equal(entries[0].revocationOf, entries[2].id);
});

test('parts of a price that are refunded take their parts of the pack', async () => {
  const { id, event, session } = await soldPack('partly');
  await deliver([event]);
  const paid = event.data.object.amount_total;
  await stripe.act({ refund: { session, amount: Math.floor(paid / 3) } });
  await deliver();
  assert.equal(creditsOf(id), String(1000 - Math.floor((1000 * Math.floor(paid / 3)) / paid)));
  await stripe.act({ refund: { session } });
  await deliver();
  assert.equal(creditsOf(id), '0');
});

test('a refund that is heard of before the purchase leaves the same', async () => {
  const { id, event, session } = await soldPack('hasty');
  const { id: refund } = await stripe.act({ refund: { session } });
  await deliver(newEvents().filter(({ type }) => type === 'charge.refunded'));
  await deliver([event]);
  assert.deepEqual(ledgerOf(id), [`grant checkout:${session} 1000`, `revocation stripe:${refund} -1000`]);
});

test('a refund that fails gives the credits back', async () => {
  const { id, event, session } = await soldPack('kept');
  await deliver([event]);
  const { id: refund } = await stripe.act({ refund: { session } });
  await deliver();
  assert.equal(creditsOf(id), '0');
  await stripe.act({ failRefund: refund });
  await deliver();
  assert.equal(creditsOf(id), '1000');
  assert.equal(ledgerOf(id).at(-1), `restoration stripe:${refund} 1000`);
});

test('a disputed pack is taken until the dispute is won', async () => {
  const { id, event, session } = await soldPack('disputed');
  await deliver([event]);
  const { id: dispute } = await stripe.act({ dispute: { session } });
  const opened = await deliver();
  assert.equal(inbox(opened[0].id).key, stripe.account.disputes.get(dispute).payment_intent);
  assert.equal(creditsOf(id), '0');
  await stripe.act({ closeDispute: { dispute, status: 'won' } });
  await deliver();
  await deliver(opened); // late, once more
  assert.equal(creditsOf(id), '1000');
  assert.deepEqual(ledgerOf(id).slice(1), [`revocation stripe:${dispute} -1000`, `restoration stripe:${dispute} 1000`]);
});

test('a dispute that is lost, and an inquiry, change nothing more', async () => {
  const lost = await soldPack('loser');
  await deliver([lost.event]);
  const { id: dispute } = await stripe.act({ dispute: { session: lost.session } });
  await deliver();
  await stripe.act({ closeDispute: { dispute, status: 'lost' } });
  await deliver();
  assert.equal(creditsOf(lost.id), '0');

  const asked = await soldPack('asked');
  await deliver([asked.event]);
  await stripe.act({ dispute: { session: asked.session, status: 'warning_needs_response' } });
  await deliver();
  assert.equal(creditsOf(asked.id), '1000');
});

test('a purchase of somebody unknown waits until they are known', async () => {
  const email = 'Newcomer@example.com';
  const [event] = await buyCredits(500, { customer_email: email, metadata: { purpose: 'credits', pack: 500 } });
  expect(await send(event, { path: HUB }), 200);
  await until('it waits', () => inbox(event.id).state === 'unresolved');
  const shown = (await service.call('GET', `${EVENTS}/${event.id}`, { token: admin })).json.event;
  assert.equal(shown.awaitedEmail, 'newcomer@example.com');

  const id = subjectOf(await service.token('newcomer@example.com'));
  await applied(event.id);
  assert.equal(creditsOf(id), '5000');
});

test('a checkout of a plan makes the customer, the subscription and the plan', async () => {
  const token = await service.token('planner@example.com');
  const id = subjectOf(token);
  const session = (await stripe.post('/v1/checkout/sessions', { mode: 'subscription',
    success_url: 'https://x.example/ok', cancel_url: 'https://x.example/no',
    line_items: [{ price: 'price_premium_monthly', quantity: 1 }], metadata: { userId: id } })).body;
  await stripe.act({ complete: session.id });
  await deliver(newEvents(), { path: HUB });
  assert.equal(planOf(id), 'premium');
  const [customer, status] = service.sql(`SELECT customer_id, status FROM subscriptions WHERE user_id = '${id}'`)[0];
  assert.equal(status, 'active');
  assert.equal(value(`SELECT customer_id FROM stripe_customers WHERE user_id = '${id}'`), customer);

  await stripe.act({ failPayment: customer });
  await deliver();
  assert.equal(value(`SELECT status FROM subscriptions WHERE user_id = '${id}'`), 'past_due');
  assert.equal(planOf(id), 'premium');

  await stripe.act({ cancel: value(`SELECT id FROM subscriptions WHERE user_id = '${id}'`) });
  await deliver();
  assert.equal(planOf(id), 'free');
  assert.equal(statusOf(id), 'active');
});

test('an event is applied by what the subscription is now, whatever it was then', async () => {
  const { id, customer } = await customerUser('late');
  const subscription = await subscribe(customer, 'price_pro_monthly');
  await stripe.act({ cancel: subscription.id });
  const events = newEvents().filter(({ type }) => type.startsWith('customer.subscription.'));
  assert.ok(events.length >= 2);
  await deliver(events.reverse());
  assert.equal(planOf(id), 'free');
  assert.equal(value(`SELECT status FROM subscriptions WHERE id = '${subscription.id}'`), 'canceled');
});

test('who loses the last payment method is suspended, and welcome with a new one', async () => {
  const { id, customer, token } = await customerUser('cards');
  const card = await stripe.act({ addCard: { customer } });
  await deliver();
  assert.equal(value(`SELECT has_payment_method FROM stripe_customers WHERE user_id = '${id}'`), 't');

  await stripe.act({ detach: card.id });
  const detached = newEvents().filter(({ type }) => type === 'payment_method.detached');
  assert.equal(detached[0].data.previous_attributes.customer, customer);
  await deliver(detached);
  assert.equal(statusOf(id), 'suspended');
  expect(await service.call('GET', '/api/usage', { token }), 403, { error: 'Account is suspended' });

  await stripe.act({ addCard: { customer } });
  await deliver();
  assert.equal(statusOf(id), 'active');
  expect(await service.call('GET', '/api/usage', { token }), 200);
});

test('who ends the subscription that bills their usage is suspended', async () => {
  const { id, customer } = await customerUser('leaver');
  const subscription = await subscribe(customer, 'price_pro_monthly', 'usage');
  await deliver();
  assert.equal(statusOf(id), 'active');
  await stripe.act({ cancel: subscription.id });
  await deliver();
  assert.equal(statusOf(id), 'suspended');
});

const setUp = async (customer) => {
  const session = (await stripe.post('/v1/checkout/sessions', { mode: 'setup', customer,
    payment_method_types: ['card'], success_url: 'https://x.example/ok' })).body;
  await stripe.act({ complete: session.id });
  return newEvents();
};

test('a payment method that was set up brings a suspended user back', async () => {
  const { id, customer } = await customerUser('returner', { mode: 'prepaid' });
  service.changeUser(id, "status = 'suspended'");
  await deliver((await setUp(customer)).filter(({ type }) => type === 'checkout.session.completed'));
  assert.equal(statusOf(id), 'active');
  assert.equal(value(`SELECT has_payment_method FROM stripe_customers WHERE user_id = '${id}'`), 't');
  assert.equal(value(`SELECT count(*) FROM subscriptions WHERE user_id = '${id}'`), '0');
});

test('who sets up a payment method gets one subscription for usage, and a cluster', async () => {
  service.sql(PRODUCTS);
  expect(await service.call('POST', '/api/admin/clusters',
    { token: admin, body: { name: 'alpha', api_url: 'https://hopsworks.example.com' } }), 201);
  const { id, customer } = await customerUser('setter');
  const events = await deliver([...await setUp(customer), ...newEvents()]);
  await deliver(); // what the new subscription has brought about
  const [row, ...more] = service.sql(`SELECT kind, status FROM subscriptions WHERE user_id = '${id}'`);
  assert.deepEqual([row, more], [['usage', 'active'], []]);
  assert.equal(statusOf(id), 'active');
  assert.equal(value(`SELECT count(*) FROM user_hopsworks_assignments WHERE user_id = '${id}'`), '1');

  // The same event again, now that the subscription has ended: what it asked for has been.
  await stripe.act({ cancel: stripe.account.subscriptions.all.find((s) => s.customer === customer).id });
  await deliver();
  assert.equal(statusOf(id), 'suspended');
  const setup = events.find(({ type }) => type === 'checkout.session.completed');
  await service.call('POST', `${EVENTS}/${setup.id}/replay`, { token: admin });
  await until('it is applied again', () => inbox(setup.id).attempts === 2 && inbox(setup.id).state === 'applied');
  assert.equal(statusOf(id), 'suspended');
  assert.equal(stripe.account.subscriptions.all.filter((s) => s.customer === customer).length, 1);
});

test('an invoice that was paid, or was not, touches the user\'s billing', async () => {
  const { customer } = await customerUser('invoiced');
  await stripe.act({ addCard: { customer } });
  await stripe.act({ invoice: { customer, amount: 1500, status: 'paid' } });
  const paid = newEvents().filter(({ type }) => type === 'invoice.payment_succeeded');
  assert.equal(paid.length, 1);
  await deliver(paid);
  assert.equal(inbox(paid[0].id).key, customer);
});

test('events of customers that are nobody\'s are applied to nothing', async () => {
  const { body } = await stripe.post('/v1/customers', { email: 'somebody@else.example' });
  await stripe.act({ addCard: { customer: body.id } });
  await subscribe(body.id, 'price_pro_monthly');
  await deliver();
});

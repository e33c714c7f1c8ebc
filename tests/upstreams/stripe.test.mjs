import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { started } from './lib/stripe/testing.mjs';

const DAY = 86_400;

const customerOf = async (stripe, form = {}) => (await stripe.post('/v1/customers', form)).body.id;
const openSession = async (stripe, form) => {
  const success_url = 'https://app.example/done?id={CHECKOUT_SESSION_ID}';
  return (await stripe.post('/v1/checkout/sessions', { success_url, ...form })).body;
};
const press = (stripe, session, body = 'card=pm_card_visa') =>
  stripe.call('POST', new URL(session.url).pathname, { body });
const ids = ({ body }) => body.data.map(({ id }) => id);

describe('customers', () => {
  it('are made, read, changed and taken away', async (test) => {
    const stripe = await started(test);

    const { body: made } = await stripe.post('/v1/customers', {
      email: 'ana@demo.example',
      name: 'Ana',
      metadata: { user_id: 'u1', team: 'blue' },
    });
    assert.match(made.id, /^cus_\w{14}$/);
    assert.deepEqual((await stripe.get(`/v1/customers/${made.id}`)).body, made);

    const { body: changed } = await stripe.post(`/v1/customers/${made.id}`, {
      metadata: { team: '', seat: '4' },
    });
    assert.deepEqual(changed.metadata, { user_id: 'u1', seat: '4' });
    assert.equal(changed.name, 'Ana');

    await stripe.delete(`/v1/customers/${made.id}`);
    assert.equal((await stripe.get(`/v1/customers/${made.id}`)).body.deleted, true);
    assert.deepEqual(ids(await stripe.get('/v1/customers')), []);
    assert.deepEqual(stripe.eventTypes(), [
      'customer.created',
      'customer.updated',
      'customer.deleted',
    ]);
  });

  it('are found by their exact email', async (test) => {
    const stripe = await started(test);
    const ana = await customerOf(stripe, { email: 'ana@demo.example' });
    await customerOf(stripe, { email: 'Ana@demo.example' });

    assert.deepEqual(ids(await stripe.get('/v1/customers?email=ana%40demo.example')), [ana]);
  });

  it('are listed in pages, the newest first, in both directions', async (test) => {
    const stripe = await started(test);
    const made = [];
    for (let at = 0; at < 5; at += 1) made.unshift(await customerOf(stripe));

    const first = await stripe.get('/v1/customers?limit=2');
    assert.deepEqual([ids(first), first.body.has_more], [made.slice(0, 2), true]);
    const next = await stripe.get(`/v1/customers?limit=3&starting_after=${made[1]}`);
    assert.deepEqual([ids(next), next.body.has_more], [made.slice(2), false]);
    const back = await stripe.get(`/v1/customers?limit=2&ending_before=${made[4]}`);
    assert.deepEqual([ids(back), back.body.has_more], [made.slice(2, 4), true]);
    assert.equal((await stripe.get('/v1/customers?starting_after=cus_none')).status, 400);
    assert.equal((await stripe.get('/v1/customers?limit=101')).body.error.param, 'limit');
  });
});

describe('a checkout session', () => {
  it('for a payment is paid on its page, without making a customer', async (test) => {
    const stripe = await started(test);
    const session = await openSession(stripe, {
      mode: 'payment',
      customer_email: 'ana@demo.example',
      client_reference_id: 'u1',
      cancel_url: 'https://app.example/no',
      line_items: [{ price: 'price_credits_500', quantity: 1 }],
      metadata: { purpose: 'credits' },
    });
    assert.deepEqual([session.status, session.payment_status], ['open', 'unpaid']);

    const page = await stripe.call('GET', new URL(session.url).pathname);
    assert.match(
      page.body,
      /500 credits[^]*\$20\.00[^]*ana@demo\.example[^]*https:\/\/app\.example\/no/,
    );
    const paid = await press(stripe, session);

    assert.equal(paid.status, 303);
    assert.equal(paid.headers.get('location'), `https://app.example/done?id=${session.id}`);
    const { body } = await stripe.get(
      `/v1/checkout/sessions/${session.id}?expand[]=payment_intent`,
    );
    assert.deepEqual(
      [body.status, body.payment_status, body.customer, body.url],
      ['complete', 'paid', null, null],
    );
    assert.deepEqual([body.payment_intent.status, body.payment_intent.amount], ['succeeded', 2000]);
    assert.deepEqual(stripe.eventTypes(), [
      'payment_intent.created',
      'payment_intent.succeeded',
      'checkout.session.completed',
    ]);
    assert.equal((await press(stripe, session)).status, 303, 'a second press changes nothing');
    assert.equal(stripe.account.paymentIntents.all.length, 1);
  });

  it('for a subscription makes customer, card, subscription and a paid invoice', async (test) => {
    const stripe = await started(test);
    const session = await openSession(stripe, {
      mode: 'subscription',
      customer_email: 'ana@demo.example',
      metadata: { plan: 'pro' },
      line_items: [{ price: 'price_pro_monthly', quantity: 1 }],
      subscription_data: { metadata: { userId: 'u1' } },
    });

    await press(stripe, session);

    const { body } = await stripe.get(
      `/v1/checkout/sessions/${session.id}?expand[]=subscription&expand[]=customer`,
    );
    assert.equal(body.customer.email, 'ana@demo.example');
    assert.deepEqual(
      [body.subscription.status, body.subscription.metadata],
      ['active', { userId: 'u1' }],
    );
    assert.equal((await stripe.get(`/v1/invoices/${body.invoice}`)).body.amount_paid, 1900);
    assert.deepEqual(stripe.eventTypes(), [
      'customer.created',
      'payment_method.attached',
      'customer.subscription.created',
      'invoice.created',
      'invoice.finalized',
      'payment_intent.created',
      'payment_intent.succeeded',
      'invoice.paid',
      'invoice.payment_succeeded',
      'checkout.session.completed',
    ]);
  });

  it('for a setup keeps the card and charges nothing', async (test) => {
    const stripe = await started(test);
    const customer = await customerOf(stripe);
    const session = await openSession(stripe, { mode: 'setup', customer });

    await press(stripe, session);

    const { body } = await stripe.get(`/v1/checkout/sessions/${session.id}?expand[]=setup_intent`);
    assert.deepEqual(
      [body.payment_status, body.setup_intent.status],
      ['no_payment_required', 'succeeded'],
    );
    const cards = await stripe.get(`/v1/payment_methods?customer=${customer}&type=card`);
    assert.deepEqual(ids(cards), [body.setup_intent.payment_method]);
    assert.equal(cards.body.data[0].card.last4, '4242');
  });

  it('stays open when the card is declined', async (test) => {
    const stripe = await started(test);
    const session = await openSession(stripe, {
      mode: 'payment',
      line_items: [{ price: 'price_credits_100', quantity: 2 }],
    });

    const declined = await press(
      stripe,
      session,
      'card=pm_card_chargeCustomerFail&email=a%40b.example',
    );

    assert.equal(declined.status, 402);
    assert.match(declined.body, /Your card was declined/);
    assert.equal((await stripe.get(`/v1/checkout/sessions/${session.id}`)).body.status, 'open');
    assert.deepEqual(stripe.eventTypes(), []);
  });

  it('expires after a day', async (test) => {
    const stripe = await started(test);
    const session = await openSession(stripe, {
      mode: 'payment',
      line_items: [{ price: 'price_credits_100', quantity: 1 }],
    });

    await stripe.command('POST', '/clock', { skewSeconds: DAY });

    assert.equal((await press(stripe, session)).status, 410);
    assert.equal((await stripe.get(`/v1/checkout/sessions/${session.id}`)).body.status, 'expired');
    assert.deepEqual(stripe.eventTypes(), ['checkout.session.expired']);
  });

  it('is refused when its parts do not fit', async (test) => {
    const stripe = await started(test);
    const refused = async (form) => (await openSession(stripe, form)).error.param;
    const item = (price, quantity) => [{ price, ...(quantity && { quantity }) }];

    assert.equal(await refused({ mode: 'payment' }), 'line_items');
    assert.equal(
      await refused({ mode: 'payment', line_items: item('price_none', 1) }),
      'line_items[0][price]',
    );
    assert.equal(
      await refused({ mode: 'payment', line_items: item('price_pro_monthly', 1) }),
      'line_items[0][price]',
    );
    assert.equal(
      await refused({ mode: 'payment', line_items: item('price_credits_100') }),
      'line_items[0][quantity]',
    );
    assert.equal(
      await refused({ mode: 'subscription', line_items: item('price_compute_credits', 1) }),
      'line_items[0][quantity]',
    );
    assert.equal(
      await refused({ mode: 'subscription', line_items: item('price_credits_100', 1) }),
      'line_items',
    );
    assert.equal(await refused({ mode: 'setup', customer: 'cus_none' }), 'customer');
    assert.equal(await refused({ mode: 'setup', success_url: 'nowhere' }), 'success_url');
    assert.equal(await refused({ mode: 'rent' }), 'mode');
  });
});

describe('events', () => {
  it('are listed by type, by time and from a known one on', async (test) => {
    const stripe = await started(test);
    const customer = await customerOf(stripe);
    await stripe.post(`/v1/customers/${customer}`, { name: 'Ana' });
    await stripe.act({ invoice: { customer, amount: 100 } });
    const [created, updated, invoiced] = stripe.account.events.all;

    assert.deepEqual(
      ids(await stripe.get('/v1/events?types[]=customer.created&types[]=invoice.created')),
      [invoiced.id, created.id],
    );
    assert.deepEqual(ids(await stripe.get('/v1/events?type=customer.*')), [updated.id, created.id]);
    assert.deepEqual(ids(await stripe.get(`/v1/events?ending_before=${updated.id}`)), [
      invoiced.id,
    ]);
    assert.deepEqual(ids(await stripe.get(`/v1/events?created[gt]=${invoiced.created}`)), []);
    const { body } = await stripe.get(`/v1/events/${updated.id}`);
    assert.deepEqual(
      [body.data.previous_attributes, body.api_version],
      [{ name: null }, '2025-06-30.basil'],
    );
    assert.match(body.request.id, /^req_/);
    assert.match(
      (await stripe.get('/v1/events/evt_none')).body.error.message,
      /No such notification/,
    );
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { started } from './lib/stripe/testing.mjs';

const DAY = 86_400;
const PRO = [{ price: 'price_pro_monthly' }];

const customerOf = async (stripe, form = {}) => (await stripe.post('/v1/customers', form)).body.id;
const payerOf = async (stripe) => {
  const customer = await customerOf(stripe, { email: 'ana@demo.example' });
  await stripe.act({ addCard: { customer } });
  return customer;
};
const ids = ({ body }) => body.data.map(({ id }) => id);

describe('a subscription', () => {
  it('has its period on the items only, and is listed by customer and status', async (test) => {
    const stripe = await started(test);
    const customer = await payerOf(stripe);

    const { body: made } = await stripe.post('/v1/subscriptions', {
      customer,
      items: PRO,
      metadata: { userId: 'u1' },
    });

    assert.equal(made.status, 'active');
    assert.equal('current_period_end' in made, false);
    const [{ current_period_start: from, current_period_end: to }] = made.items.data;
    assert.ok(to - from >= 28 * DAY && to - from <= 31 * DAY);
    assert.deepEqual(
      ids(await stripe.get(`/v1/subscriptions?customer=${customer}&status=active`)),
      [made.id],
    );
    await stripe.delete(`/v1/subscriptions/${made.id}`);
    assert.deepEqual(ids(await stripe.get(`/v1/subscriptions?customer=${customer}`)), []);
    assert.deepEqual(
      ids(await stripe.get(`/v1/subscriptions?customer=${customer}&status=all&limit=10`)),
      [made.id],
    );
    assert.equal(stripe.eventTypes().at(-1), 'customer.subscription.deleted');
  });

  it('that costs something at once needs a way to pay; one for usage does not', async (test) => {
    const stripe = await started(test);
    const customer = await customerOf(stripe);

    const refused = await stripe.post('/v1/subscriptions', { customer, items: PRO });
    const metered = await stripe.post('/v1/subscriptions', {
      customer,
      items: [{ price: 'price_compute_credits' }],
    });

    assert.equal(refused.body.error.code, 'resource_missing');
    assert.deepEqual([metered.status, metered.body.status], [200, 'active']);
    assert.equal('quantity' in metered.body.items.data[0], false);
  });

  it('bills usage and the next period when it renews, and becomes past due when that fails', async (test) => {
    const stripe = await started(test);
    const customer = await payerOf(stripe);
    const { body: made } = await stripe.post('/v1/subscriptions', {
      customer,
      items: [...PRO, { price: 'price_storage_online_gb' }],
    });
    await stripe.post('/v1/billing/meter_events', {
      event_name: 'storage_online_gb',
      payload: { stripe_customer_id: customer, value: '7' },
    });

    const renewed = await stripe.act({ renew: made.id });
    assert.equal(renewed.items.data[0].current_period_start, made.items.data[0].current_period_end);
    const [latest] = (await stripe.get(`/v1/invoices?customer=${customer}&limit=1`)).body.data;
    assert.deepEqual(
      [latest.total, latest.status, latest.billing_reason],
      [1900 + 7 * 50, 'paid', 'subscription_cycle'],
    );

    const late = await stripe.act({ failPayment: customer });
    assert.equal(late.status, 'past_due');
    const open = (await stripe.get(`/v1/invoices?customer=${customer}&status=open`)).body.data[0];
    assert.ok(stripe.eventTypes().includes('invoice.payment_failed'));
    const paid = await stripe.post(`/v1/invoices/${open.id}/pay`);
    assert.equal(paid.body.status, 'paid');
    assert.equal((await stripe.get(`/v1/subscriptions/${made.id}`)).body.status, 'active');
  });

  it('has invoices that are paid, not paid, voided or written off', async (test) => {
    const stripe = await started(test);
    const customer = await payerOf(stripe);
    const { body: made } = await stripe.post('/v1/subscriptions', { customer, items: PRO });
    const draft = () => stripe.act({ invoice: { customer, subscription: made.id, amount: 8990, currency: 'brl' } });

    const { id } = await draft();
    await stripe.act({ voidInvoice: id }); // refused: it is none yet
    assert.equal((await stripe.get(`/v1/invoices/${id}`)).body.status, 'draft');
    const open = await stripe.act({ finalizeInvoice: id });
    assert.deepEqual([open.status, open.currency, open.parent.subscription_details.subscription],
      ['open', 'brl', made.id]);
    const declined = await stripe.act({ payInvoice: { invoice: id, card: 'pm_card_chargeCustomerFail' } });
    assert.deepEqual([declined.status, declined.attempt_count], ['open', 1]);
    assert.equal((await stripe.act({ writeOffInvoice: id })).status, 'uncollectible');
    assert.equal((await stripe.act({ payInvoice: { invoice: id } })).status, 'paid');
    const other = await draft();
    await stripe.act({ finalizeInvoice: other.id });
    assert.equal((await stripe.act({ voidInvoice: other.id })).status, 'void');
    for (const type of ['invoice.finalized', 'invoice.payment_failed', 'invoice.marked_uncollectible',
      'invoice.paid', 'invoice.voided'])
      assert.ok(stripe.eventTypes().includes(type), type);
  });

  it('that is to end at the end of its period ends then', async (test) => {
    const stripe = await started(test);
    const { body: made } = await stripe.post('/v1/subscriptions', {
      customer: await payerOf(stripe),
      items: PRO,
    });

    const { body: leaving } = await stripe.post(`/v1/subscriptions/${made.id}`, {
      cancel_at_period_end: true,
    });
    assert.deepEqual(
      [leaving.status, leaving.cancel_at],
      ['active', made.items.data[0].current_period_end],
    );
    assert.equal(
      stripe.account.events.all.at(-1).data.previous_attributes.cancel_at_period_end,
      false,
    );

    assert.equal((await stripe.act({ renew: made.id })).status, 'canceled');
  });

  it('changes its price', async (test) => {
    const stripe = await started(test);
    const { body: made } = await stripe.post('/v1/subscriptions', {
      customer: await payerOf(stripe),
      items: PRO,
    });

    const { body } = await stripe.post(`/v1/subscriptions/${made.id}`, {
      items: [{ id: made.items.data[0].id, price: 'price_premium_monthly' }],
      proration_behavior: 'none',
    });

    assert.deepEqual(
      body.items.data.map(({ id, price }) => [id, price.id]),
      [[made.items.data[0].id, 'price_premium_monthly']],
    );
  });
});

describe('a payment method', () => {
  it('is attached and detached; the event says from whom', async (test) => {
    const stripe = await started(test);
    const customer = await customerOf(stripe);

    const { body: card } = await stripe.post('/v1/payment_methods/pm_card_visa/attach', {
      customer,
    });
    await stripe.post(`/v1/customers/${customer}`, {
      invoice_settings: { default_payment_method: card.id },
    });
    await stripe.post(`/v1/payment_methods/${card.id}/detach`);

    const detached = stripe.account.events.all.find(
      ({ type }) => type === 'payment_method.detached',
    );
    assert.deepEqual(
      [detached.data.object.customer, detached.data.previous_attributes],
      [null, { customer }],
    );
    assert.equal(
      (await stripe.get(`/v1/customers/${customer}`)).body.invoice_settings.default_payment_method,
      null,
    );
    assert.deepEqual(ids(await stripe.get(`/v1/payment_methods?customer=${customer}`)), []);
    assert.equal((await stripe.post(`/v1/payment_methods/${card.id}/detach`)).status, 400);
  });

  it('of somebody else cannot be the default', async (test) => {
    const stripe = await started(test);
    const [ana, ben] = [await customerOf(stripe), await customerOf(stripe)];
    const { body: card } = await stripe.post('/v1/payment_methods/pm_card_visa/attach', {
      customer: ben,
    });

    const refused = await stripe.post(`/v1/customers/${ana}`, {
      invoice_settings: { default_payment_method: card.id },
    });

    assert.equal(refused.status, 400);
  });
});

describe('an invoice', () => {
  it('goes from draft over open to paid, once', async (test) => {
    const stripe = await started(test);
    const customer = await payerOf(stripe);
    const draft = await stripe.act({ invoice: { customer, amount: 4200 } });
    assert.deepEqual([draft.status, draft.number], ['draft', null]);

    const { body: open } = await stripe.post(`/v1/invoices/${draft.id}/finalize`);
    assert.deepEqual([open.status, open.amount_due, open.amount_paid], ['open', 4200, 0]);
    assert.match(open.number, /^\w{8}-0001$/);
    assert.equal((await stripe.post(`/v1/invoices/${draft.id}/finalize`)).status, 400);

    const { body: paid } = await stripe.post(`/v1/invoices/${draft.id}/pay`);
    assert.deepEqual([paid.status, paid.amount_paid, paid.amount_remaining], ['paid', 4200, 0]);
    assert.equal((await stripe.post(`/v1/invoices/${draft.id}/pay`)).status, 400);
    assert.match(
      (await stripe.call('GET', new URL(paid.hosted_invoice_url).pathname)).body,
      /\$42\.00/,
    );
    assert.match((await stripe.call('GET', new URL(paid.invoice_pdf).pathname)).body, /^%PDF/);
  });

  it('is refunded no further than it was paid', async (test) => {
    const stripe = await started(test);
    await stripe.act({
      invoice: { customer: await customerOf(stripe), amount: 1000, status: 'paid' },
    });
    const [{ id: payment_intent }] = stripe.account.paymentIntents.all;

    assert.equal(
      (await stripe.post('/v1/refunds', { payment_intent, amount: 400 })).body.status,
      'succeeded',
    );
    assert.equal((await stripe.post('/v1/refunds', { payment_intent, amount: 601 })).status, 400);
    assert.equal((await stripe.post('/v1/refunds', { payment_intent })).body.amount, 600);
    assert.equal(
      (await stripe.post('/v1/refunds', { payment_intent })).body.error.code,
      'charge_already_refunded',
    );
    const [part, whole] = stripe.account.events.all
      .filter(({ type }) => type === 'charge.refunded')
      .map(({ data }) => data.object);
    assert.deepEqual([part.amount_refunded, part.refunded, part.payment_intent],
      [400, false, payment_intent]);
    assert.deepEqual([whole.amount_refunded, whole.refunded], [1000, true]);
  });

  it('is disputed until somebody wins', async (test) => {
    const stripe = await started(test);
    await stripe.act({
      invoice: { customer: await customerOf(stripe), amount: 1000, status: 'paid' },
    });
    const [{ id: payment_intent }] = stripe.account.paymentIntents.all;
    const { id } = await stripe.act({ dispute: { payment_intent } });
    await stripe.act({ closeDispute: { dispute: id, status: 'won' } });

    const { body } = await stripe.call('GET', `/v1/disputes?payment_intent=${payment_intent}`);
    assert.deepEqual(body.data.map((each) => [each.id, each.amount, each.status]), [[id, 1000, 'won']]);
    assert.deepEqual(
      stripe.account.events.all.map(({ type }) => type).filter((type) => type.includes('dispute')),
      ['charge.dispute.created', 'charge.dispute.funds_withdrawn', 'charge.dispute.closed',
        'charge.dispute.funds_reinstated'],
    );
  });
});

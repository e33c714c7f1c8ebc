import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Stripe, officialClient } from './lib/stripe/official.mjs';
import { receiver, started } from './lib/stripe/testing.mjs';
import { signPayload, verify } from './stripe.mjs';

/// The stand-in against the official package: what that takes for Stripe is Stripe enough.

const SECRET = 'whsec_official';
const body = '{"id":"evt_1","object":"event"}';

const connected = async (test, options) => {
  const server = await started(test);
  return { server, stripe: officialClient(server, options) };
};

describe('the official package', () => {
  it('speaks the version of the stand-in', async (test) => {
    const { server, stripe } = await connected(test);
    await stripe.customers.list();

    assert.equal(stripe.getApiField('version'), '2025-06-30.basil');
    assert.equal((await server.command('GET', '/requests')).body[0].status, 200);
  });

  it("accepts the stand-in's signatures, also of two secrets", () => {
    const { webhooks } = new Stripe('sk_test_x');

    assert.equal(webhooks.constructEvent(body, signPayload(body, SECRET), SECRET).id, 'evt_1');
    assert.equal(
      webhooks.constructEvent(body, signPayload(body, ['whsec_old', SECRET]), SECRET).id,
      'evt_1',
    );
    const { StripeSignatureVerificationError } = Stripe.errors;
    assert.throws(
      () => webhooks.constructEvent(body, signPayload(body, 'other'), SECRET),
      StripeSignatureVerificationError,
    );
    assert.throws(
      () =>
        webhooks.constructEvent(
          body,
          signPayload(body, SECRET, Math.floor(Date.now() / 1000) - 301),
          SECRET,
        ),
      StripeSignatureVerificationError,
    );
  });

  it('makes signatures that the stand-in accepts', () => {
    const { webhooks } = new Stripe('sk_test_x');
    const header = webhooks.generateTestHeaderString({ payload: body, secret: SECRET });
    const late = webhooks.generateTestHeaderString({
      payload: body,
      secret: SECRET,
      timestamp: 1_700_000_000,
    });

    assert.equal(verify(body, header, SECRET), true);
    assert.equal(verify(body, header, 'other'), false);
    assert.equal(verify(body, late, SECRET), false);
    assert.equal(signPayload(body, SECRET, 1_700_000_000), late);
  });

  it('reads a webhook that was sent', async (test) => {
    const { server, stripe } = await connected(test);
    const hook = await receiver(test);
    server.webhooks.register({ url: hook.url, secret: SECRET });

    const customer = await stripe.customers.create({ name: 'Ana' });

    const [delivery] = await hook.received(1);
    const event = stripe.webhooks.constructEvent(delivery.body, delivery.signature, SECRET);
    assert.deepEqual([event.type, event.data.object.id], ['customer.created', customer.id]);
  });

  it('buys a subscription', async (test) => {
    const { server, stripe } = await connected(test);
    const session = await stripe.checkout.sessions.create({
      mode: 'subscription',
      customer_email: 'ana@demo.example',
      client_reference_id: 'u1',
      success_url: 'https://app.example/done?id={CHECKOUT_SESSION_ID}',
      allow_promotion_codes: true,
      line_items: [{ price: 'price_pro_monthly', quantity: 1 }],
      metadata: { plan: 'pro' },
    });
    await server.act({ complete: session.id });

    const done = await stripe.checkout.sessions.retrieve(session.id, {
      expand: ['subscription.latest_invoice', 'customer', 'line_items'],
    });
    assert.equal(done.customer.email, 'ana@demo.example');
    assert.equal(done.line_items.data[0].price.id, 'price_pro_monthly');
    assert.equal(done.subscription.latest_invoice.status, 'paid');
    const {
      data: [subscription],
    } = await stripe.subscriptions.list({ customer: done.customer.id, status: 'all', limit: 10 });
    assert.equal(subscription.id, done.subscription.id);
    await stripe.subscriptions.update(subscription.id, {
      cancel_at_period_end: true,
      metadata: { why: 'moving' },
    });
    assert.equal((await stripe.subscriptions.cancel(subscription.id)).status, 'canceled');
    const {
      data: [invoice],
    } = await stripe.invoices.list({ customer: done.customer.id, limit: 10 });
    assert.equal(invoice.parent.subscription_details.subscription, subscription.id);
  });

  it('manages payment methods and invoices', async (test) => {
    const { server, stripe } = await connected(test);
    const customer = await stripe.customers.create({ name: 'Ana' });
    const card = await stripe.paymentMethods.attach('pm_card_mastercard', {
      customer: customer.id,
    });
    await stripe.customers.update(customer.id, {
      invoice_settings: { default_payment_method: card.id },
    });
    const { data } = await stripe.paymentMethods.list({ customer: customer.id, type: 'card' });
    assert.deepEqual(
      data.map((each) => each.card.last4),
      ['4444'],
    );

    const draft = await server.act({ invoice: { customer: customer.id, amount: 999 } });
    await stripe.invoices.finalizeInvoice(draft.id);
    assert.equal((await stripe.invoices.pay(draft.id)).amount_paid, 999);
    assert.equal((await stripe.paymentMethods.detach(card.id)).customer, null);
  });

  it('meters usage and knows a duplicate when it sees one', async (test) => {
    const { stripe } = await connected(test);
    const customer = await stripe.customers.create();
    const today = Math.floor(Date.now() / 86_400_000) * 86_400;
    const event = {
      event_name: 'compute_credits',
      identifier: 'usage-1',
      timestamp: today,
      payload: { stripe_customer_id: customer.id, value: '1234' },
    };
    await stripe.billing.meterEvents.create(event);

    await assert.rejects(
      stripe.billing.meterEvents.create(event),
      (error) =>
        error instanceof Stripe.errors.StripeInvalidRequestError
        && /already exists with identifier/.test(error.message),
    );
    const {
      data: [meter],
    } = await stripe.billing.meters.list();
    const summaries = await stripe.billing.meters.listEventSummaries(meter.id, {
      customer: customer.id,
      start_time: today,
      end_time: today + 86_400,
      value_grouping_window: 'day',
    });
    assert.equal(summaries.data[0].aggregated_value, 1234);
  });

  it('walks through pages of events by itself', async (test) => {
    const { stripe } = await connected(test);
    for (let at = 0; at < 25; at += 1) await stripe.customers.create({ name: `c${at}` });
    const since = Math.floor(Date.now() / 1000) - 60;

    const names = [];
    for await (const event of stripe.events.list({
      types: ['customer.created'],
      created: { gte: since },
      limit: 10,
    })) {
      names.push(event.data.object.name);
    }

    assert.deepEqual(
      names,
      Array.from({ length: 25 }, (_, at) => `c${24 - at}`),
    );
  });

  it("throws its own errors for the stand-in's", async (test) => {
    const { server, stripe } = await connected(test, { maxNetworkRetries: 0 });
    const thrown = (promise, kind) => assert.rejects(promise, Stripe.errors[kind]);

    await thrown(
      officialClient({ ...server, secretKey: 'sk_test_wrong' }).customers.list(),
      'StripeAuthenticationError',
    );
    await thrown(stripe.customers.retrieve('cus_none'), 'StripeInvalidRequestError');
    await server.command('POST', '/faults', [
      { kind: 'status', status: 429 },
      { kind: 'status', status: 500 },
    ]);
    await thrown(stripe.customers.list(), 'StripeRateLimitError');
    await thrown(stripe.customers.list(), 'StripeAPIError');
    await stripe.customers.create({ name: 'Ana' }, { idempotencyKey: 'key' });
    await thrown(
      stripe.customers.create({ name: 'Ben' }, { idempotencyKey: 'key' }),
      'StripeIdempotencyError',
    );
  });

  it('sends again what was lost, without doing it twice', async (test) => {
    const { server, stripe } = await connected(test, { maxNetworkRetries: 2 });
    await server.command('POST', '/faults', [
      { kind: 'reset-after-apply' },
      { kind: 'reset-before' },
    ]);

    const customer = await stripe.customers.create({ name: 'Ana' });

    assert.deepEqual(
      server.account.customers.all.map(({ id }) => id),
      [customer.id],
    );
    assert.equal((await server.command('GET', '/requests')).body.length, 3);
  });
});

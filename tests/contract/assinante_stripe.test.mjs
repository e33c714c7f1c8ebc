/// Invoices of subscribers whose subscription is paid through Stripe follow Stripe's (assinante.md §9).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, startService, until } from './harness.mjs';
import { signPayload } from '../upstreams/stripe.mjs';
import { started } from '../upstreams/lib/stripe/testing.mjs';

const SECRET = 'whsec_subscribers';
let stripe, service, admin;
const closing = [];

before(async () => {
  stripe = await started({ after: (close) => closing.push(close) });
  service = await startService({ env: {
    STRIPE_SECRET_KEY: stripe.secretKey, STRIPE_WEBHOOK_SECRET: SECRET, BINNACLE_STRIPE_API_URL: stripe.url,
    BINNACLE_STRIPE_ATTEMPTS: '1', BINNACLE_RATE_LIMIT_SCALE: '1000',
  } });
  admin = await service.adminToken();
});
after(async () => {
  await service?.stop();
  for (const close of closing) await close();
});

let seen = 0;
/// What Stripe has made since the last call.
function newEvents() {
  const all = stripe.account.events.all;
  return all.slice(seen, (seen = all.length));
}
const stateOf = (id) => service.sql(`SELECT state FROM stripe_events WHERE id = '${id}'`)[0]?.[0];
async function deliver(events = newEvents()) {
  for (const event of events) {
    const body = JSON.stringify(event);
    expect(await service.call('POST', '/api/webhooks/stripe', { body,
      headers: { 'Content-Type': 'application/json', 'Stripe-Signature': signPayload(body, SECRET) } }), 200);
  }
  for (const { id, type } of events) await until(`${type} is applied`, () => stateOf(id) === 'applied');
  return events;
}

let count = 0;
/// A subscriber whose subscription is one of Stripe's: {sub, customer, subscription, invoices}.
async function subscriber() {
  const email = `joana${(count += 1)}@example.com`;
  const customer = (await stripe.post('/v1/customers', { email })).body.id;
  await stripe.act({ addCard: { customer } });
  const subscription = (await stripe.post('/v1/subscriptions',
    { customer, items: [{ price: 'price_pro_monthly' }] })).body.id;
  newEvents();
  const made = expect(await service.call('POST', '/api/admin/assinante/subscriptions', { token: admin, body: {
    email, planName: 'Lentes Mensais', status: 'active', price: 89.9, startDate: '2025-01-10', renewalDate: '2025-11-10',
    paymentMethod: 'credit_card', stripeSubscriptionId: subscription } }), 201).json.subscription;
  const draft = (more = {}) => stripe.act({ invoice: { customer, subscription, amount: 8990, currency: 'brl',
    description: 'Assinatura Mensal - Outubro', ...more } });
  const invoices = () => service.sql(`SELECT status, amount, stripe_invoice, paid_at IS NOT NULL, description
    FROM assinante_invoices WHERE subscription_id = '${made.id}' ORDER BY created_at, id`);
  return { sub: made.id, customer, subscription, draft, invoices, token: await service.token(email) };
}

test('a draft is nobody\'s, a finalised invoice is pending, and a paid one is paid', async () => {
  const { draft, invoices, token } = await subscriber();
  const { id } = await draft();
  await deliver();
  assert.deepEqual(invoices(), []);
  const open = await stripe.act({ finalizeInvoice: id });
  await deliver();
  assert.deepEqual(invoices(), [['pending', '89.90', id, 'f', 'Assinatura Mensal - Outubro']]);
  await stripe.act({ payInvoice: { invoice: id } });
  await deliver();
  assert.deepEqual(invoices(), [['paid', '89.90', id, 't', 'Assinatura Mensal - Outubro']]);
  const year = new Date().getUTCFullYear();
  const [shown] = expect(await service.call('GET', `/api/assinante/invoices?year=${year}`, { token }), 200).json.invoices;
  assert.equal(shown.invoiceNumber, open.number);
  assert.equal(shown.status, 'PAID');
  expect(await service.call('GET', shown.downloadUrl, { token }), 200);
});

test('one that could not be collected is overdue, and is paid when it is', async () => {
  const { draft, invoices } = await subscriber();
  const { id } = await draft();
  await stripe.act({ finalizeInvoice: id });
  await stripe.act({ payInvoice: { invoice: id, card: 'pm_card_chargeCustomerFail' } });
  await deliver();
  assert.equal(invoices()[0][0], 'overdue');
  await stripe.act({ payInvoice: { invoice: id } });
  await deliver();
  assert.equal(invoices()[0][0], 'paid');
});

test('one that is void is cancelled, one that is written off is still owed', async () => {
  const { draft, invoices } = await subscriber();
  for (const action of ['voidInvoice', 'writeOffInvoice']) {
    const { id } = await draft();
    await stripe.act({ finalizeInvoice: id });
    await stripe.act({ [action]: id });
  }
  await deliver();
  assert.deepEqual(invoices().map(([status]) => status).sort(), ['cancelled', 'overdue']);
});

test('events in any order, late and twice, leave what is so now', async () => {
  const { draft, invoices } = await subscriber();
  const { id } = await draft();
  await stripe.act({ finalizeInvoice: id });
  await stripe.act({ payInvoice: { invoice: id, card: 'pm_card_chargeCustomerFail' } });
  await stripe.act({ payInvoice: { invoice: id } });
  const events = newEvents();
  await deliver([...events].reverse());
  assert.deepEqual(invoices(), [['paid', '89.90', id, 't', 'Assinatura Mensal - Outubro']]);
  await deliver(events);
  for (const event of events)
    await service.call('POST', `/api/admin/billing/events/${event.id}/replay`, { token: admin });
  for (const event of events) await until('it is applied again', () => stateOf(event.id) === 'applied');
  assert.equal(invoices().length, 1);
});

test('an invoice that an admin has brought under an id of its own stays under it', async () => {
  const { sub, draft, invoices } = await subscriber();
  const { id } = await draft();
  await stripe.act({ finalizeInvoice: id });
  newEvents();
  expect(await service.call('POST', '/api/admin/assinante/invoices', { token: admin, body: { id: `inv_own_${count}`,
    subscriptionId: sub, invoiceNumber: 'NF-1', status: 'PENDING', amount: 89.9, dueDate: '2025-10-01',
    paymentMethod: 'credit_card', stripeInvoiceId: id } }), 201);
  await stripe.act({ payInvoice: { invoice: id } });
  await deliver();
  assert.equal(invoices().length, 1);
  assert.deepEqual(service.sql(`SELECT id, status FROM assinante_invoices WHERE stripe_invoice = '${id}'`),
    [[`inv_own_${count}`, 'paid']]);
});

test('invoices of other subscriptions, of none, and in other currencies are nobody\'s', async () => {
  const { customer, draft, invoices } = await subscriber();
  await draft({ subscription: undefined, status: 'paid' });
  await draft({ currency: 'usd', status: 'paid' });
  const other = (await stripe.post('/v1/subscriptions', { customer, items: [{ price: 'price_premium_monthly' }] })).body.id;
  await draft({ subscription: other, status: 'paid' });
  await deliver();
  assert.deepEqual(invoices(), []);
});

test('while Stripe does not say what is so, the event waits', async () => {
  const { draft, invoices } = await subscriber();
  await draft({ status: 'paid' });
  const [event] = newEvents().filter(({ type }) => type === 'invoice.paid');
  await stripe.command('POST', '/faults', [{ kind: 'status', status: 500, times: 99 }]);
  const body = JSON.stringify(event);
  expect(await service.call('POST', '/api/webhooks/stripe', { body,
    headers: { 'Content-Type': 'application/json', 'Stripe-Signature': signPayload(body, SECRET) } }), 200);
  await until('it has failed', () => stateOf(event.id) === 'failed');
  assert.deepEqual(invoices(), []);
  await stripe.command('DELETE', '/faults');
  await until('it is applied', () => stateOf(event.id) === 'applied');
  assert.equal(invoices()[0][0], 'paid');
});

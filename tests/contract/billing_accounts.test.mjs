/// The platform's accounts at Stripe: the statement, setting up a payment method, and what admins do.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { PRICES, PRODUCTS, startSecond, startShop } from './stripe.mjs';

const SETUP = '/api/billing/payment-method', FIX = '/api/admin/fix-missing-subscriptions';
const ADMIN = '/api/admin/billing';
let shop, service, stripe, admin, plain;

before(async () => {
  [shop, plain] = await Promise.all([startShop(), startService()]);
  ({ service, stripe } = shop);
  admin = await service.adminToken();
  service.sql(PRODUCTS);
});
after(() => Promise.all([shop?.stop(), plain?.stop()]));

let people = 0;
async function somebody(at = service) {
  const email = `payer${++people}@example.com`;
  const token = await at.token(email);
  return { token, id: subjectOf(token), email };
}
async function memberOf(owner) {
  const who = await somebody();
  service.changeUser(who.id, `account_owner_id = '${owner.id}'`);
  await until('it is known', async () => (await statement(who.token)).isTeamMember);
  return who;
}
const statement = async (token) =>
  expect(await service.call('GET', '/api/billing', { token }), 200).json;
const setUp = (token, options = {}) => service.call('POST', SETUP, { token, ...options });
const fix = (query = '', token = admin, at = service) => at.call('POST', FIX + query, { token });
/// A user with a customer; answers it with the customer's id.
async function payer() {
  const who = await somebody();
  expect(await setUp(who.token), 200);
  [[who.customer]] = service.sql(`SELECT customer_id FROM stripe_customers WHERE user_id = '${who.id}'`);
  return who;
}
const customersOf = async (who) =>
  (await stripe.all('customers')).filter((c) => c.metadata.user_id === who.id);
const subscriptionsOf = async (who) =>
  (await stripe.all('subscriptions')).filter((s) => s.customer === who.customer);
const settle = async () => { // nobody is left to be fixed by another test's call
  expect(await fix(), 200);
};

// -- the statement -----------------------------------------------------------------------------------

test('the statement shows the card, the subscription and the newest invoices', async () => {
  const who = await payer();
  await settle();
  await stripe.act({ addCard: { customer: who.customer, card: 'pm_card_visa' } });
  for (let i = 1; i <= 7; ++i)
    await stripe.act({ invoice: { customer: who.customer, amount: 100 * i + 5, status: i === 7 ? 'draft' : 'paid' } });

  const body = await statement(who.token);
  assert.equal(body.hasPaymentMethod, true);
  assert.equal(body.subscriptionStatus, 'active');
  const { type, card } = body.paymentMethodDetails;
  assert.deepEqual([type, card.brand, card.last4], ['card', 'visa', '4242']);
  assert.deepEqual(Object.keys(card), ['brand', 'last4', 'expMonth', 'expYear']);
  assert.equal(body.invoices.length, 5);
  assert.deepEqual(body.invoices.map((i) => i.amount), [6.05, 5.05, 4.05, 3.05, 2.05]);
  const [{ created_at: created, ...newest }] = body.invoices;
  assert.match(created, /^\d{4}-.*Z$/);
  assert.deepEqual(Object.keys(newest),
    ['id', 'invoice_number', 'amount', 'status', 'invoice_url', 'pdf_url', 'total', 'currency']);
  assert.deepEqual([newest.status, newest.total, newest.currency], ['paid', 6.05, 'usd']);
  const drafts = (await stripe.all('invoices')).filter((i) => i.customer === who.customer && i.status === 'draft');
  assert.equal(drafts.length, 1, 'it was not finalised');
});

test('somebody without a customer has a statement without Stripe', async () => {
  const { token } = await somebody();
  await stripe.forget();
  const body = await statement(token);
  assert.deepEqual([body.hasPaymentMethod, body.paymentMethodDetails, body.subscriptionStatus,
    body.invoices], [false, null, null, []]);
  assert.deepEqual(await stripe.requests(), []);
});

test('a team member sees the owner\'s name, and Stripe is not asked', async () => {
  const owner = await payer();
  const member = await memberOf(owner);
  await stripe.forget();
  const body = await statement(member.token);
  assert.deepEqual([body.isTeamMember, body.billingMode, body.hasPaymentMethod, body.accountOwner.email],
    [true, 'team', true, owner.email]);
  assert.deepEqual(await stripe.requests(), []);
});

test('a Stripe that fails or is slow takes its part out of the statement, and no more', async () => {
  const who = await payer();
  await stripe.act({ addCard: { customer: who.customer, card: 'pm_card_visa' } });
  await stripe.act({ invoice: { customer: who.customer, amount: 500, status: 'paid' } });
  await stripe.fault({ kind: 'status', status: 400, match: '/v1/invoices' });
  const partly = await statement(who.token);
  assert.deepEqual([partly.invoices, partly.hasPaymentMethod], [[], true]);

  for (const match of ['/v1/invoices', '/v1/payment_methods', '/v1/customers/'])
    await stripe.fault({ kind: 'hang', match });
  const began = Date.now();
  const slow = await statement(who.token);
  assert.ok(Date.now() - began < 8_500, 'one after the other they would take 9 s');
  assert.deepEqual([slow.invoices, slow.hasPaymentMethod, slow.paymentMethodDetails], [[], false, null]);
  await stripe.noFaults();
});

// -- setting up a payment method ---------------------------------------------------------------------

test('a payment method is set up at Stripe for the user\'s one customer', async () => {
  const who = await somebody();
  const { json } = expect(await setUp(who.token), 200);
  const [customer, ...others] = await customersOf(who);
  assert.deepEqual(others, []);
  assert.deepEqual([customer.email, customer.metadata], [who.email, { user_id: who.id }]);
  const session = (await stripe.all('sessions')).at(-1);
  assert.deepEqual(json, { url: session.url });
  assert.deepEqual([session.mode, session.customer, session.client_reference_id],
    ['setup', customer.id, who.id]);
  assert.equal(session.success_url, `${service.url}/dashboard?tab=billing&payment_method=added`);
  assert.equal(session.cancel_url, `${service.url}/dashboard?tab=billing&payment_method=canceled`);

  await stripe.act({ complete: session.id });
  assert.equal((await statement(who.token)).hasPaymentMethod, true);
});

test('a team member sets up nothing', async () => {
  const member = await memberOf(await payer());
  expect(await setUp(member.token), 403, { error: 'Only account owners can manage billing' });
  assert.deepEqual(await customersOf(member), []);
});

test('without Stripe nothing is set up, and the rest of the statement is there', async () => {
  const { token } = await somebody(plain);
  expect(await plain.call('POST', SETUP, { token }), 500, { error: 'stripe_not_configured' });
  const body = expect(await plain.call('GET', '/api/billing', { token }), 200).json;
  assert.deepEqual([body.hasPaymentMethod, body.invoices], [false, []]);
});

test('twenty requests at once make one customer', async () => {
  const who = await somebody();
  const answers = await Promise.all(Array.from({ length: 20 }, () => setUp(who.token)));
  for (const answer of answers) expect(answer, 200);
  assert.equal((await customersOf(who)).length, 1);
});

test('twenty requests at two processes make one customer', async () => {
  const second = await startSecond(service);
  try {
    const who = await somebody();
    await stripe.fault({ kind: 'latency', ms: 300, match: 'POST /v1/customers' });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
      [service, second][i % 2].call('POST', SETUP, { token: who.token })));
    for (const answer of answers) expect(answer, 200);
    assert.equal((await customersOf(who)).length, 1);
    assert.deepEqual(service.sql(`SELECT count(*) FROM stripe_customers WHERE user_id = '${who.id}'`), [['1']]);
  } finally {
    await second.stop();
  }
});

for (const [what, fault] of [
  ['throttles', { kind: 'status', status: 429, retryAfter: 0 }],
  ['fails before', { kind: 'status', status: 500 }],
  ['closes the connection after', { kind: 'reset-after-apply' }],
  ['closes the connection before', { kind: 'reset-before' }],
])
  test(`a Stripe that ${what} making the customer makes one all the same`, async () => {
    const who = await somebody();
    await stripe.fault({ ...fault, match: 'POST /v1/customers' });
    expect(await setUp(who.token), 200);
    assert.equal((await customersOf(who)).length, 1);
  });

test('a refusal of Stripe\'s is a 502 without its words', async () => {
  const who = await somebody();
  await stripe.fault({ kind: 'status', status: 402, match: 'POST /v1/checkout/sessions' });
  const answer = expect(await setUp(who.token), 502);
  assert.doesNotMatch(answer.text, /stripe|card|injected/i);
});

// -- missing subscriptions ---------------------------------------------------------------------------

test('who pays afterwards and has no subscription gets one to all products, once', async () => {
  await settle();
  expect(await fix(), 200, { message: 'No users need fixing', fixed: [] });
  const who = await payer();
  const prepaid = await payer();
  service.changeUser(prepaid.id, 'billing_mode = \'prepaid\'');

  const dry = expect(await fix('?dryRun=true'), 200).json;
  assert.deepEqual(dry, { message: '1 users need fixing', dryRun: true, users: [who.email] });
  assert.deepEqual(await subscriptionsOf(who), []);

  expect(await fix(), 200, { message: 'Fixed 1 users, 0 failed',
    results: { fixed: [who.email], failed: [] } });
  const [made, ...others] = await subscriptionsOf(who);
  assert.deepEqual(others, []);
  assert.deepEqual(made.metadata, { kind: 'usage', user_id: who.id });
  assert.deepEqual(made.items.data.map((i) => i.price.id).sort(),
    ['price_compute_credits', 'price_storage_online_gb']);
  assert.deepEqual(await subscriptionsOf(prepaid), []);
  assert.equal((await statement(who.token)).subscriptionStatus, 'active');
  const audited = service.sql(`SELECT detail->>'subscription' FROM audit_log
    WHERE action = 'SUBSCRIPTION_FIXED' AND target = '${who.id}'`);
  assert.deepEqual(audited, [[made.id]]);
  expect(await fix(), 200, { message: 'No users need fixing', fixed: [] });
});

test('a subscription that Stripe has already is adopted, and one that ended is not', async () => {
  await settle();
  const [has, had] = [await payer(), await payer()];
  const subscribe = (who) => stripe.post('/v1/subscriptions',
    { customer: who.customer, 'items[0][price]': 'price_compute_credits' });
  const mine = await subscribe(has);
  await stripe.act({ cancel: (await subscribe(had)).id });

  expect(await fix(), 200);
  assert.deepEqual((await subscriptionsOf(has)).map((s) => s.id), [mine.id]);
  assert.deepEqual((await subscriptionsOf(had)).map((s) => s.status).sort(), ['active', 'canceled']);
});

test('fixing at both processes, twenty times at once, makes one subscription each', async () => {
  await settle();
  const payers = [await payer(), await payer(), await payer()];
  const second = await startSecond(service);
  try {
    await stripe.fault({ kind: 'latency', ms: 200, match: 'POST /v1/subscriptions', times: 3 });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
      fix('', admin, [service, second][i % 2])));
    for (const answer of answers) expect(answer, 200);
    for (const who of payers) assert.equal((await subscriptionsOf(who)).length, 1);
  } finally {
    await second.stop();
  }
});

test('a subscription made before the connection broke is not made again', async () => {
  await settle();
  const who = await payer();
  await stripe.fault({ kind: 'reset-after-apply', match: 'POST /v1/subscriptions' });
  expect(await fix(), 200, { message: 'Fixed 1 users, 0 failed',
    results: { fixed: [who.email], failed: [] } });
  assert.equal((await subscriptionsOf(who)).length, 1);
});

test('one account that fails does not keep the others from being fixed, and is next time', async () => {
  await settle();
  const [first, second] = [await payer(), await payer()].sort((a, b) => (a.id < b.id ? -1 : 1));
  await stripe.fault({ kind: 'status', status: 402, match: 'POST /v1/subscriptions' });
  const { json } = expect(await fix(), 200);
  assert.equal(json.message, 'Fixed 1 users, 1 failed');
  assert.deepEqual(json.results.fixed, [second.email]);
  assert.equal(json.results.failed[0].email, first.email);
  expect(await fix(), 200, { message: 'Fixed 1 users, 0 failed',
    results: { fixed: [first.email], failed: [] } });
});

test('an account that is fixed is put on the cluster with the fewest users that has room', async () => {
  await settle();
  const add = async (name, users) => expect(await service.call('POST', '/api/admin/clusters', {
    token: admin, body: { name, api_url: 'https://hopsworks.example.com', max_users: users } }), 201)
    .json.cluster.id;
  const full = await add('full', 0), free = await add('free', 1);
  const [a, b] = [await payer(), await payer()].sort((x, y) => (x.id < y.id ? -1 : 1));
  expect(await fix(), 200);
  assert.deepEqual(service.sql('SELECT user_id, cluster_id FROM user_hopsworks_assignments'), [[a.id, free]]);
  assert.equal((await subscriptionsOf(b)).length, 1, 'a full cluster is no reason to go unsubscribed');
  assert.notEqual(full, free);
});

test('without products or without Stripe nothing is fixed', async () => {
  const other = await startService({ env: { ...PRICES, ...stripe.env } });
  try {
    const token = await other.adminToken();
    const who = await somebody(other);
    expect(await other.call('POST', SETUP, { token: who.token }), 200);
    expect(await fix('', token, other), 500, { error: 'No active products found' });
    expect(await fix('?dryRun=perhaps', token, other), 400);
  } finally {
    await other.stop();
  }
  const token = await plain.adminToken();
  const who = await somebody(plain);
  plain.sql(`INSERT INTO stripe_customers VALUES ('${who.id}', 'cus_old', false, now())`);
  expect(await fix('', token, plain), 500, { error: 'stripe_not_configured' });
});

// -- /api/admin/billing ------------------------------------------------------------------------------

test('an admin sees how everybody pays, or one user', async () => {
  await settle();
  const who = await payer();
  expect(await fix(), 200);
  const row = { id: who.id, email: who.email, billing_mode: null, feature_flags: { prepaid_enabled: false },
    stripe_subscription_status: 'active' };
  expect(await service.call('GET', `${ADMIN}?userId=${who.id}`, { token: admin }), 200, { user: row });
  const { users } = expect(await service.call('GET', ADMIN, { token: admin }), 200).json;
  assert.deepEqual(users.find((u) => u.id === who.id), row);
  expect(await service.call('GET', `${ADMIN}?userId=usr_none`, { token: admin }), 404,
    { error: 'User not found' });
});

test('an admin lets a user pay in advance, and takes it back', async () => {
  const who = await somebody();
  const change = (action, userId = who.id) =>
    service.call('POST', ADMIN, { token: admin, body: { action, userId } });
  const mode = async () => {
    const { user } = (await service.call('GET', `${ADMIN}?userId=${who.id}`, { token: admin })).json;
    return [user.billing_mode, user.feature_flags];
  };
  expect(await change('enable_prepaid'), 200, { success: true });
  assert.deepEqual(await mode(), ['prepaid', { prepaid_enabled: true }]);
  const body = await statement(who.token);
  assert.deepEqual([body.billingMode, body.prepaidEnabled], ['prepaid', true]);
  expect(await change('disable_prepaid'), 200, { success: true });
  assert.deepEqual(await mode(), ['postpaid', { prepaid_enabled: false }]);
  assert.deepEqual(service.sql(`SELECT action FROM audit_log
    WHERE target = '${who.id}' AND action LIKE 'PREPAID%' ORDER BY id`),
    [['PREPAID_ENABLED'], ['PREPAID_DISABLED']]);

  assert.equal(expect(await change('give_away'), 400).json.error, 'Invalid action');
  assert.equal(expect(await change('enable_prepaid', 'usr_none'), 404).json.error, 'User not found');
  expect(await service.call('POST', ADMIN, { token: admin, body: {} }), 400);
});

test('these routes tell who may use them in their own words', async () => {
  const { token } = await somebody();
  for (const [method, path] of [['POST', FIX], ['GET', ADMIN], ['POST', ADMIN]]) {
    expect(await service.call(method, path), 401, { error: 'Not authenticated' });
    expect(await service.call(method, path, { token }), 403, { error: 'Admin access required' });
  }
  expect(await service.call('POST', SETUP), 401);
});

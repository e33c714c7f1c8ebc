/// POST /api/webhooks/auth0: the logins that Auth0's Action tells of.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, subjectOf } from './harness.mjs';
import { addCluster, addUser, startStandIn } from './hopsworks.mjs';
import { PRODUCTS, startShop } from './stripe.mjs';

const SECRET = 'a-secret-of-the-action';
let shop, service, stripe, hopsworks;
before(async () => {
  [shop, hopsworks] = await Promise.all([
    startShop({ AUTH0_ISSUER_BASE_URL: 'https://demo.eu.auth0.com', AUTH0_WEBHOOK_SECRET: SECRET }),
    startStandIn()]);
  ({ service, stripe } = shop);
  service.sql(PRODUCTS);
});
after(() => Promise.all([shop?.stop(), hopsworks?.close()]));

const tell = (body, secret = SECRET) => service.call('POST', '/api/webhooks/auth0',
  { body, headers: secret === null ? {} : { 'X-Auth0-Secret': secret } });
const login = (name, more = {}) => ({ user_id: `auth0|${name}`, email: `${name}@example.com`, name,
  ip: '203.0.113.7', created_at: '2026-01-01T00:00:00Z', logins_count: 1, ...more });
const user = (name) => service.sql(`SELECT u.email, u.name, u.billing_mode, u.status, u.login_count,
  u.registration_ip, c.customer_id IS NOT NULL, last_login_at IS NOT NULL
  FROM users u JOIN identities i ON i.user_id = u.id LEFT JOIN stripe_customers c ON c.user_id = u.id
  WHERE i.issuer = 'https://demo.eu.auth0.com/' AND i.subject = 'auth0|${name}'`);

test('a new user is made, with a customer at Stripe, and pays afterwards', async () => {
  expect(await tell(login('ada')), 200, { success: true });
  assert.deepEqual(user('ada'),
    [['ada@example.com', 'ada', 'postpaid', 'active', '1', '203.0.113.7', 't', 't']]);
  assert.equal((await stripe.all('customers')).filter(({ email }) => email === 'ada@example.com').length, 1);
});

test('the same report again changes nothing; a later one has the count of Auth0', async () => {
  for (let i = 0; i < 3; ++i) expect(await tell(login('again')), 200, { success: true });
  assert.equal(user('again')[0][4], '1');
  expect(await tell(login('again', { logins_count: 7, name: 'Another' })), 200);
  assert.deepEqual(user('again')[0].slice(1, 5), ['again', 'postpaid', 'active', '7']);
  assert.equal((await stripe.all('customers')).filter(({ email }) => email === 'again@example.com').length, 1);
});

test('an address that was only claimed goes to who proves it', async () => {
  expect(await tell(login('squatter', { email: 'ceo@example.com' })), 200);
  assert.equal(user('squatter')[0][0], 'ceo@example.com');
  expect(await tell(login('ceo', { email_verified: true })), 200);
  assert.equal(user('ceo')[0][0], 'ceo@example.com');
  assert.equal(user('squatter')[0][0], '');
  assert.notEqual(idOf('ceo'), idOf('squatter'));
});

test('an address beyond ASCII lets its owner in', async () => {
  expect(await tell(login('ü', { email: 'Ünal@EXAMPLE.com' })), 200, { success: true });
  assert.equal(user('ü')[0][0], 'Ünal@example.com');
});

test('many reports of a new user at once make one user and one customer', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => tell(login('crowd'))));
  for (const answer of answers) expect(answer, 200, { success: true });
  assert.equal(user('crowd').length, 1);
  assert.equal((await stripe.all('customers')).filter(({ email }) => email === 'crowd@example.com').length, 1);
});

test('a customer that could not be made is made at the next login', async () => {
  await stripe.fault({ kind: 'status', status: 400, times: 99 });
  expect(await tell(login('later')), 200, { success: true });
  assert.equal(user('later')[0][6], 'f');
  await stripe.noFaults();
  expect(await tell(login('later', { logins_count: 2 })), 200, { success: true });
  assert.equal(user('later')[0][6], 't');
});

// -- what Stripe has already ---------------------------------------------------------------------

const verified = (name, more = {}) => login(name, { email_verified: true, ...more });
const idOf = (name) => service.sql(
  `SELECT user_id FROM identities WHERE subject = 'auth0|${name}'`)[0][0];
const customerOf = (name) => service.sql(
  `SELECT customer_id FROM stripe_customers WHERE user_id = '${idOf(name)}'`)[0]?.[0];
const makeCustomer = async (name, metadata = {}) => (await stripe.post('/v1/customers', {
  email: `${name}@example.com`,
  ...Object.fromEntries(Object.entries(metadata).map(([key, text]) => [`metadata[${key}]`, text])),
})).id;
const subscribe = async (customer, price = 'price_compute_credits') => (await stripe.post('/v1/subscriptions',
  { customer, 'items[0][price]': price, 'metadata[kind]': price.includes('pro') ? 'plan' : 'usage' })).id;
const subscriptionsOf = (name) => service.sql(
  `SELECT id, kind, status FROM subscriptions WHERE user_id = '${idOf(name)}' ORDER BY id`);
const open = (name) => service.sql(`SELECT check_type FROM health_check_failures
  WHERE user_id = '${idOf(name)}' AND resolved_at IS NULL ORDER BY 1`).map(([type]) => type);
const customersAtStripe = async (name) =>
  (await stripe.all('customers')).filter(({ email }) => email === `${name}@example.com`);

test('a new customer names the user here and at Auth0', async () => {
  expect(await tell(login('named')), 200);
  const [{ metadata }] = await customersAtStripe('named');
  assert.deepEqual(metadata, { user_id: idOf('named'), auth0_id: 'auth0|named' });
});

test('the customer of a verified address is adopted with its subscription', async () => {
  const [customer, , living] = [await makeCustomer('moved'), await makeCustomer('moved'), await makeCustomer('moved')];
  const subscription = await subscribe(living);
  const crowd = await Promise.all(Array.from({ length: 8 }, () => tell(verified('moved'))));
  for (const answer of crowd) expect(answer, 200, { success: true });
  assert.equal(customerOf('moved'), living, `not ${customer}, which pays for nothing`);
  assert.deepEqual(subscriptionsOf('moved'), [[subscription, 'usage', 'active']]);
  assert.equal((await customersAtStripe('moved')).length, 3);
  assert.deepEqual(open('moved'), []);
  stripe.forget();
  expect(await tell(verified('moved', { logins_count: 2 })), 200);
  assert.deepEqual(await stripe.requests(), [], 'nothing is missing');
});

test('a plan that is paid for at Stripe is a plan here', async () => {
  const customer = await makeCustomer('planned');
  await stripe.act({ addCard: { customer, card: 'pm_card_visa' } });
  await subscribe(customer, 'price_pro_monthly');
  expect(await tell(verified('planned')), 200);
  assert.equal(service.sql(`SELECT plan FROM users WHERE id = '${idOf('planned')}'`)[0][0], 'pro');
});

test('a subscription made at Stripe later is adopted at the next login', async () => {
  expect(await tell(login('later-on')), 200);
  assert.deepEqual(subscriptionsOf('later-on'), []);
  const subscription = await subscribe(customerOf('later-on'));
  expect(await tell(login('later-on', { logins_count: 2 })), 200);
  assert.deepEqual(subscriptionsOf('later-on'), [[subscription, 'usage', 'active']]);
});

test('nobody is given somebody else\'s customer', async () => {
  const strangers = await makeCustomer('unproven');
  expect(await tell(login('unproven')), 200);
  assert.notEqual(customerOf('unproven'), strangers, 'the address is not verified');

  const marked = await makeCustomer('marked', { user_id: 'usr_somebody_else' });
  expect(await tell(verified('marked')), 200);
  assert.notEqual(customerOf('marked'), marked, 'it says whose it is');

  const known = await makeCustomer('before', { user_id: 'auth0|before' });
  expect(await tell(verified('before')), 200);
  assert.equal(customerOf('before'), known, 'it names the subject');

  const held = await makeCustomer('holder');
  expect(await tell(login('other-holder')), 200);
  service.sql(`UPDATE stripe_customers SET customer_id = '${held}' WHERE user_id = '${idOf('other-holder')}'`);
  expect(await tell(verified('holder')), 200);
  assert.equal(customerOf('other-holder'), held);
  assert.notEqual(customerOf('holder'), held);
  assert.deepEqual(open('holder'), []);
});

for (const [what, match, check] of [
  ['looking for a customer', 'GET /v1/customers', 'stripe_customer'],
  ['making a customer', 'POST /v1/customers', 'stripe_customer'],
  ['looking for subscriptions', 'GET /v1/subscriptions', 'stripe_subscription'],
]) {
  test(`when ${what} fails that is noted, until a login finds all in order`, async () => {
    const name = what.replaceAll(' ', '-');
    if (check === 'stripe_subscription') expect(await tell(verified(name)), 200);
    await stripe.fault({ kind: 'status', status: 400, times: 99, match });
    for (let i = 0; i < 2; ++i) expect(await tell(verified(name)), 200, { success: true });
    assert.deepEqual(open(name), [check]);
    await stripe.noFaults();
    expect(await tell(verified(name, { logins_count: 2 })), 200);
    assert.deepEqual(open(name), []);
    assert.equal((await customersAtStripe(name)).length, 1);
    assert.deepEqual(service.sql(`SELECT count(*) FROM health_check_failures WHERE user_id = '${idOf(name)}'`), [['1']]);
  });
}

test('a Stripe that hangs does not hold up a login, whose rest is noted', async () => {
  const other = await startShop({ AUTH0_ISSUER_BASE_URL: 'https://demo.eu.auth0.com', AUTH0_WEBHOOK_SECRET: SECRET,
    BINNACLE_HTTP_REQUEST_TIMEOUT: '4s' });
  try {
    await other.stripe.fault({ kind: 'hang', times: 99 });
    for (const more of [{}, { email_verified: true }]) {
      const name = `patient${Object.keys(more).length}`;
      expect(await other.service.call('POST', '/api/webhooks/auth0',
        { body: login(name, more), headers: { 'X-Auth0-Secret': SECRET } }), 200, { success: true });
      assert.deepEqual(other.service.sql(`SELECT f.check_type FROM health_check_failures f JOIN users u ON u.id = f.user_id
        WHERE u.email = '${name}@example.com' AND f.resolved_at IS NULL`), [['stripe_customer']]);
    }
  } finally {
    await other.stop();
  }
});

// -- who it is -----------------------------------------------------------------------------------

test('a verified address links to the user who has it; nothing else does', async () => {
  const known = subjectOf(await service.token('grace@example.com', '--admin'));
  expect(await tell(login('thief', { email: 'grace@example.com' })), 200);
  assert.notEqual(idOf('thief'), known);
  assert.equal(user('thief')[0][0], '');
  expect(await tell(login('doubtful', { email_verified: false })), 200);
  assert.equal(user('doubtful')[0][0], '', 'an address that Auth0 does not vouch for is not kept');
  expect(await tell(login('grace', { email: 'Grace@Example.com', email_verified: true })), 200);
  assert.equal(idOf('grace'), known);
});

test('who was invited is a member at once, and does not pay', async () => {
  const owner = subjectOf(await service.token('owner@example.com'));
  const invite = (name, life) => service.sql(`INSERT INTO team_invites (account_owner_id, email,
    token_digest, project_role, auto_assign_projects, expires_at, created_at) VALUES ('${owner}',
    '${name}@example.com', sha256('${name}'), 'Observer', true, now() + interval '${life}', now())`);
  const teamOf = (name) => service.sql(`SELECT u.account_owner_id, u.billing_mode FROM users u
    JOIN identities i ON i.user_id = u.id WHERE i.subject = 'auth0|${name}'`)[0];
  invite('eva', '1 day');
  expect(await tell(login('eva')), 200, { success: true });
  assert.deepEqual(teamOf('eva'), [owner, '']);
  assert.equal((await stripe.all('customers')).filter(({ email }) => email === 'eva@example.com').length, 0);
  assert.equal(service.sql("SELECT count(*) FROM team_invites WHERE accepted_by_user_id IS NOT NULL")[0][0], '1');

  invite('late', '-1 second');
  expect(await tell(login('late')), 200, { success: true });
  invite('refuted', '1 day');
  expect(await tell(login('refuted', { email_verified: false })), 200, { success: true });
  for (const name of ['late', 'refuted']) assert.deepEqual(teamOf(name), ['', 'postpaid'], name);
});

test('who joins by an invitation is given the role in the owner\'s projects, once', async () => {
  const admin = await service.adminToken();
  const cluster = await addCluster(service, admin, hopsworks, 'alpha');
  const owner = await addUser(service, cluster, 'lead@example.com');
  hopsworks.deployment.addProject({ name: 'churn', owner: 'lead@example.com' });
  hopsworks.deployment.addProject({ name: 'fraud', owner: 'lead@example.com' });
  const invite = (name, assign = true) => service.sql(`INSERT INTO team_invites (account_owner_id, email,
    token_digest, project_role, auto_assign_projects, expires_at, created_at) VALUES ('${owner.id}',
    '${name}@example.com', sha256('${name}'), 'Observer', ${assign}, now() + interval '1 day', now())`);
  const roles = (name) => service.sql(`SELECT project_name, role, synced_to_hopsworks FROM project_member_roles
    WHERE member_id = '${idOf(name)}' ORDER BY 1`);
  const given = async () => (await hopsworks.requests()).filter((line) => line.includes('projectMembers')).length;
  const BOTH = [['churn', 'Observer', 't'], ['fraud', 'Observer', 't']];

  invite('uma');
  await hopsworks.forget();
  for (const answer of await Promise.all(Array.from({ length: 6 }, () => tell(verified('uma')))))
    expect(answer, 200, { success: true });
  assert.deepEqual(roles('uma'), BOTH);
  assert.equal(await given(), 2);
  assert.deepEqual(open('uma'), []);
  expect(await tell(verified('uma', { logins_count: 2 })), 200);
  assert.equal(await given(), 2, 'a later login gives nothing again');

  invite('vera', false);
  expect(await tell(verified('vera')), 200);
  assert.deepEqual(roles('vera'), []);

  invite('will');
  await hopsworks.fail({ kind: 'status', status: 422, match: 'projectMembers', times: 99 });
  expect(await tell(verified('will')), 200, { success: true });
  assert.deepEqual(open('will'), ['team_projects']);
  await hopsworks.recover();
  expect(await tell(verified('will', { logins_count: 2 })), 200);
  assert.deepEqual(roles('will'), BOTH);
  assert.deepEqual(open('will'), []);

  invite('xeno');
  await hopsworks.fail({ kind: 'status', status: 422, match: 'projectMembers', times: 99 });
  expect(await tell(verified('xeno')), 200);
  expect(await service.call('DELETE', `/api/team/members?memberId=${idOf('xeno')}`, { token: owner.token }), 200);
  await hopsworks.recover();
  assert.deepEqual(open('xeno'), [], 'nothing is owed to who has left');
});

test('a team member gets no customer', async () => {
  const owner = subjectOf(await service.token('owner@example.com'));
  expect(await tell(login('member')), 200);
  service.sql(`DELETE FROM stripe_customers WHERE user_id =
    (SELECT id FROM users WHERE email = 'member@example.com')`);
  service.sql(`UPDATE users SET account_owner_id = '${owner}' WHERE email = 'member@example.com'`);
  stripe.forget();
  expect(await tell(login('member', { logins_count: 2 })), 200);
  assert.equal(user('member')[0][6], 'f');
});

test('the secret is checked before the method and the body', async () => {
  for (const secret of [null, '', 'wrong', `${SECRET}x`, SECRET.slice(1)]) {
    expect(await tell(login('x'), secret), 401, { error: 'Unauthorized' });
    expect(await tell('{', secret), 401, { error: 'Unauthorized' });
  }
  expect(await service.call('GET', '/api/webhooks/auth0'), 401, { error: 'Unauthorized' });
  const known = expect(await service.call('GET', '/api/webhooks/auth0',
    { headers: { 'X-Auth0-Secret': SECRET } }), 405, { error: 'Method not allowed' });
  assert.match(known.headers.allow, /POST/);
});

test('what is missing or malformed is 400', async () => {
  expect(await tell({}), 400, { error: 'Missing required fields: user_id, email', details: 'user_id, email' });
  expect(await tell(login('x', { email: '' })), 400);
  for (const more of [{ email: 'no address' }, { email: 7 }, { user_id: 'x'.repeat(256) },
    { logins_count: -1 }, { logins_count: 'many' }, { email_verified: 'yes' }])
    expect(await tell(login('x', more)), 400);
  expect(await tell('{'), 400);
});

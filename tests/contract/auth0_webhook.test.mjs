/// POST /api/webhooks/auth0: the logins that Auth0's Action tells of.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, subjectOf } from './harness.mjs';
import { startShop } from './stripe.mjs';

const SECRET = 'a-secret-of-the-action';
let shop, service, stripe;
before(async () => {
  shop = await startShop({ AUTH0_ISSUER_BASE_URL: 'https://demo.eu.auth0.com', AUTH0_WEBHOOK_SECRET: SECRET });
  ({ service, stripe } = shop);
});
after(() => shop?.stop());

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

test('a verified address links to the user who has it; nothing else does', async () => {
  const known = subjectOf(await service.token('grace@example.com', '--admin'));
  const idOf = (name) => service.sql(
    `SELECT user_id FROM identities WHERE subject = 'auth0|${name}'`)[0][0];
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

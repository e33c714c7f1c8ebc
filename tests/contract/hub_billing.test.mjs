/// The creator dashboard's money: summary, credits, subscription, return from Checkout.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { hubHeaders, startShop } from './stripe.mjs';

const CREDITS = '/api/billing/credits', SESSION = '/api/billing/session';
const SYNC = '/api/billing/sync', SUMMARY = '/api/dashboard/billing-summary';
let shop, service, stripe, plain;

before(async () => {
  [shop, plain] = await Promise.all([startShop(), startService()]);
  ({ service, stripe } = shop);
});
after(() => Promise.all([shop?.stop(), plain?.stop()]));

let people = 0;
/// A new user: {token, id, email}.
async function somebody(at = service) {
  const email = `hub${++people}@example.com`;
  const token = await at.token(email);
  return { token, id: subjectOf(token), email };
}
const post = (path, token, body, { at = service, headers = {}, ...more } = {}) => {
  const browser = hubHeaders(at);
  return at.call('POST', path,
    { token, body, cookie: browser.cookie, headers: { ...browser.headers, ...headers }, ...more });
};
const get = (path, token, at = service) => at.call('GET', path, { token });
const refusal = (type, message) => ({ success: false, error: { type, message } });
const lastSession = async (id) =>
  (await stripe.all('sessions')).filter((s) => s.client_reference_id === id).at(-1);
const summaryOf = async (token) => expect(await get(SUMMARY, token), 200).json.data;
/// Buys a plan and pays it; answers the session.
async function subscribe(who, plan = 'pro', more = {}) {
  expect(await post(SESSION, who.token, { plan, workspaceId: 'w1', ...more }), 200);
  const { id } = await lastSession(who.id);
  await stripe.act({ complete: id });
  return lastSession(who.id);
}
const back = (answer) => {
  expect(answer, 302);
  assert.equal(answer.headers['x-xss-protection'], '1; mode=block');
  return answer.headers.location.replace(service.url, '');
};

// -- summary -----------------------------------------------------------------------------------------

test('the summary of somebody new is that of the free plan', async () => {
  const { token } = await somebody();
  const now = new Date();
  const end = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) - 1;
  expect(await get(SUMMARY, token), 200, { success: true, data: {
    plan: 'free', status: 'inactive', subscriptionId: null, currentPeriodEnd: null,
    cancelAtPeriodEnd: false, lastSyncedAt: null, creditsRemaining: 0, monthlyLimit: 30,
    monthlyUsed: 0, periodEndsAt: end,
  } });
});

test('the summary shows the subscription, the credits and what was used of the month', async () => {
  const who = await somebody();
  const session = await subscribe(who, 'premium');
  assert.equal(back(await get(`${SYNC}?session_id=${session.id}`, who.token)), '/dashboard?ws=default');
  service.sql(`INSERT INTO allowance_uses VALUES ('${who.id}', 'job:1', date_trunc('month', now()), 125, now())`);

  const data = await summaryOf(who.token);
  const [{ id, items }] = (await stripe.all('subscriptions')).filter((s) => s.customer === session.customer);
  const end = items.data[0].current_period_end;
  assert.match(data.lastSyncedAt, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  assert.deepEqual({ ...data, lastSyncedAt: '' }, {
    plan: 'premium', status: 'active', subscriptionId: id, currentPeriodEnd: end,
    cancelAtPeriodEnd: false, lastSyncedAt: '', creditsRemaining: 0, monthlyLimit: 1000,
    monthlyUsed: 12.5, periodEndsAt: end * 1000,
  });
});

test('a subscription that ended is inactive, yet says when it was seen last', async () => {
  const who = await somebody();
  const session = await subscribe(who);
  back(await get(`${SYNC}?session_id=${session.id}`, who.token));
  await stripe.act({ cancel: session.subscription });
  back(await get(`${SYNC}?session_id=${session.id}`, who.token));

  const data = await summaryOf(who.token);
  assert.deepEqual([data.plan, data.status, data.subscriptionId], ['free', 'inactive', null]);
  assert.notEqual(data.lastSyncedAt, null);
});

test('the summary is kept until what it shows changes, or ends by itself', async () => {
  const who = await somebody();
  const hits = async () => Number(/^binnacle_cache_lookups_total\{result="hit"\} (\d+)/m
    .exec((await service.call('GET', '/metrics')).text)?.[1] ?? 0);
  assert.equal((await summaryOf(who.token)).creditsRemaining, 0);
  const before = await hits();
  assert.equal((await summaryOf(who.token)).creditsRemaining, 0);
  assert.ok((await hits()) > before);

  const session = await subscribe(who);
  back(await get(`${SYNC}?session_id=${session.id}`, who.token));
  assert.equal((await summaryOf(who.token)).plan, 'pro');

  // Nobody says when credits have expired.
  const other = await somebody();
  service.sql(`INSERT INTO credit_accounts VALUES ('${other.id}', 70);
    WITH e AS (INSERT INTO credit_entries
        (user_id, kind, source, tenths, expires_at, balance_after, occurred_at, created_at)
      VALUES ('${other.id}', 'grant', 'gift', 70, now() + interval '2 seconds', 70, now(), now()) RETURNING *),
    l AS (INSERT INTO credit_lots SELECT id, user_id, expires_at, 70 FROM e)
    INSERT INTO credit_allocations SELECT id, id, 70 FROM e`);
  assert.equal((await summaryOf(other.token)).creditsRemaining, 7);
  await until('they have expired', async () => (await summaryOf(other.token)).creditsRemaining === 0);
});

test('the summary is for users and for GET', async () => {
  expect(await get(SUMMARY), 401, refusal('auth_error', 'Unauthorized'));
  const answer = await post(SUMMARY, undefined, {});
  expect(answer, 405, refusal('method_not_allowed', 'Method Not Allowed'));
  assert.match(answer.headers.allow, /GET/);
});

// -- credits -----------------------------------------------------------------------------------------

test('a pack of credits is bought at Stripe, with all that its webhook needs', async () => {
  const who = await somebody();
  const { json } = expect(await post(CREDITS, who.token, { pack: 500, workspaceId: ' w 1 ', other: 1 }), 200);
  const session = await lastSession(who.id);
  assert.deepEqual(json, { url: session.url });
  assert.equal(session.mode, 'payment');
  assert.equal(session.customer_email, who.email);
  assert.equal(session.allow_promotion_codes, false);
  assert.deepEqual(session.metadata, { purpose: 'credits', userId: who.id, pack: '500' });
  assert.equal(session.success_url, `${service.url}/dashboard?ws=w%201&credits=1`);
  assert.equal(session.cancel_url, `${service.url}/pricing`);
  const [[event]] = service.sql(`SELECT action FROM audit_log WHERE actor = '${who.id}'`);
  assert.equal(event, 'credits_checkout_session_created');
});

for (const [returnTo, path] of [
  ['/tools/x?a=b#top', '/tools/x?a=b&credits=1#top'], ['/x?credits=0', '/x?credits=1'],
  ['//evil.example', '/dashboard?ws=default&credits=1'],
  ['https://evil.example', '/dashboard?ws=default&credits=1'],
  ['/\\evil.example', '/dashboard?ws=default&credits=1'],
])
  test(`after buying credits with returnTo ${returnTo} one comes to ${path}`, async () => {
    const who = await somebody();
    expect(await post(CREDITS, who.token, { pack: 100, returnTo }), 200);
    assert.equal((await lastSession(who.id)).success_url, service.url + path);
  });

for (const [what, body, field] of [
  ['no pack', {}, 'pack'], ['an unknown pack', { pack: 200 }, 'pack'],
  ['a pack as text', { pack: '100' }, 'pack'], ['a fraction', { pack: 100.5 }, 'pack'],
  ['an empty workspace', { pack: 100, workspaceId: ' ' }, 'workspaceId'],
  ['a long workspace', { pack: 100, workspaceId: 'x'.repeat(101) }, 'workspaceId'],
  ['a long returnTo', { pack: 100, returnTo: `/${'x'.repeat(300)}` }, 'returnTo'],
])
  test(`credits for ${what} are refused, configured or not`, async () => {
    for (const at of [service, plain]) {
      const { token } = await somebody(at);
      const { error } = expect(await post(CREDITS, token, body, { at }), 400).json;
      assert.deepEqual([error.type, error.message], ['validation_error', 'Invalid JSON body']);
      const { fieldErrors, issues } = error.details.details;
      assert.deepEqual(Object.keys(fieldErrors), [field]);
      assert.deepEqual(issues[0].path, [field]);
      assert.equal(fieldErrors[field][0], issues[0].message);
    }
  });

test('what is no JSON object is no valid body', async () => {
  const { token } = await somebody();
  for (const body of ['', '{', '[]', 'null', '{"pack":100,"pack":500}']) {
    const { error } = expect(await post(CREDITS, token, body), 400).json;
    assert.deepEqual([error.type, error.message], ['validation_error', 'Invalid JSON body']);
    assert.deepEqual(Object.keys(error.details.details.fieldErrors), ['_form']);
    assert.deepEqual(error.details.details.issues[0].path, []);
  }
});

test('without Stripe, or without a price, credits are not sold', async () => {
  const { token } = await somebody();
  expect(await post(CREDITS, token, { pack: 1500 }), 400,
    refusal('validation_error', 'pack_not_configured'));
  const other = await somebody(plain);
  expect(await post(CREDITS, other.token, { pack: 100 }, { at: plain }), 500,
    refusal('server_error', 'stripe_not_configured'));
});

test('origin comes before the token, the token before the credential, that before the body', async () => {
  const { token } = await somebody();
  const { headers, cookie } = hubHeaders(service);
  const send = (options) => service.call('POST', CREDITS, { body: {}, ...options });
  expect(await send({ token, cookie, headers: { 'X-CSRF-Token': 'csrf-1' } }), 403,
    refusal('forbidden', 'Missing Origin/Referer header'));
  expect(await send({ token, cookie, headers: { ...headers, Origin: 'https://evil.example' } }), 403,
    refusal('forbidden', 'Origin not allowed'));
  expect(await send({ cookie, headers: { Origin: service.url, 'X-CSRF-Token': 'other' } }), 403,
    refusal('forbidden', 'Invalid CSRF token'));
  expect(await send({ cookie, headers }), 401, refusal('auth_error', 'Unauthorized'));
  expect(await send({ token, cookie, headers }), 400);
});

test('Stripe\'s refusals and faults are ours to the client, without a word of them', async () => {
  const { token } = await somebody();
  await stripe.fault({ kind: 'status', status: 402, match: '/v1/checkout/sessions' });
  const answer = expect(await post(CREDITS, token, { pack: 100 }), 500);
  assert.deepEqual(answer.json, refusal('server_error', 'Interner Serverfehler'));
});

test('what Stripe did before the connection broke is not done again', async () => {
  const who = await somebody();
  await stripe.fault({ kind: 'reset-after-apply', match: 'POST /v1/checkout/sessions' });
  const { url } = expect(await post(CREDITS, who.token, { pack: 100 }), 200).json;
  const mine = (await stripe.all('sessions')).filter((s) => s.client_reference_id === who.id);
  assert.deepEqual(mine.map((s) => s.url), [url]);
});

test('a request repeated under its Idempotency-Key opens the same page, another a new one', async () => {
  const who = await somebody();
  const key = { 'Idempotency-Key': randomUUID() };
  const [first, second, other] = [
    await post(CREDITS, who.token, { pack: 100 }, { headers: key }),
    await post(CREDITS, who.token, { pack: 100 }, { headers: key }),
    await post(CREDITS, who.token, { pack: 100 })];
  assert.equal(first.json.url, second.json.url);
  assert.notEqual(first.json.url, other.json.url);
});

// -- subscription ------------------------------------------------------------------------------------

test('a plan is bought by the user\'s one customer, and leads back through sync', async () => {
  const who = await somebody();
  const body = { plan: 'pro', workspaceId: 'w&1', interval: 'annual', returnTo: '/welcome?x=1' };
  const { json } = expect(await post(SESSION, who.token, body), 200);
  const session = await lastSession(who.id);
  assert.deepEqual(json, { success: true, data: { url: session.url } });
  assert.equal(session.mode, 'subscription');
  assert.equal(session.allow_promotion_codes, true);
  assert.equal(session.success_url, `${service.url}${SYNC}?session_id={CHECKOUT_SESSION_ID}`
    + '&ws=w%261&return_to=%2Fwelcome%3Fx%3D1');
  assert.equal(session.cancel_url, `${service.url}/pricing`);
  assert.deepEqual(session.metadata,
    { workspaceId: 'w&1', userId: who.id, plan: 'pro', kind: 'plan' });
  const [customer] = (await stripe.all('customers')).filter((c) => c.metadata.user_id === who.id);
  assert.equal(session.customer, customer.id);
  assert.equal(customer.email, who.email);
});

for (const [body, message] of [
  [{}, 'plan and workspaceId are required'], [{ plan: 'pro' }, 'plan and workspaceId are required'],
  [{ workspaceId: 'w' }, 'plan and workspaceId are required'],
  [{ plan: 'free', workspaceId: 'w' }, 'Unknown plan'],
  [{ plan: 'gold', workspaceId: 'w' }, 'Unknown plan'],
  [{ plan: 'enterprise', workspaceId: 'w' }, 'Unknown plan'], // has no price
  [{ plan: 'premium', workspaceId: 'w', interval: 'annual' }, 'Unknown plan'],
])
  test(`a session for ${JSON.stringify(body)} is refused: ${message}`, async () => {
    const { token } = await somebody();
    expect(await post(SESSION, token, body), 400, refusal('validation_error', message));
  });

test('a session without Stripe says so', async () => {
  const { token } = await somebody(plain);
  expect(await post(SESSION, token, { plan: 'pro', workspaceId: 'w' }, { at: plain }), 500,
    refusal('server_error', 'Stripe not configured'));
});

const ACTIVE = refusal('subscription_active',
  'Es läuft bereits ein Abonnement: Bitte ändern oder kündigen Sie es im Kundenportal');
test('who pays for a plan buys no second one beside it, until the first has ended', async () => {
  const who = await somebody();
  const session = await subscribe(who);
  expect(await get(`${SYNC}?session_id=${session.id}`, who.token), 302);
  assert.equal((await summaryOf(who.token)).plan, 'pro');
  const pages = (await stripe.all('sessions')).length;
  for (const plan of ['pro', 'premium'])
    expect(await post(SESSION, who.token, { plan, workspaceId: 'w' }), 400, ACTIVE);
  assert.equal((await stripe.all('sessions')).length, pages, 'no page was opened');
  expect(await post(CREDITS, who.token, { pack: 100 }), 200);
  for (const [status, answer] of [['past_due', 400], ['paused', 400], ['unpaid', 400],
    ['incomplete_expired', 200], ['canceled', 200]]) {
    service.sql(`UPDATE subscriptions SET status = '${status}' WHERE user_id = '${who.id}'`);
    expect(await post(SESSION, who.token, { plan: 'premium', workspaceId: 'w' }), answer);
  }
});

test('a team member buys no plan', async () => {
  const [owner, member] = [await somebody(), await somebody()];
  service.changeUser(member.id, `account_owner_id = '${owner.id}'`);
  expect(await post(SESSION, member.token, { plan: 'pro', workspaceId: 'w' }), 403,
    refusal('forbidden', 'Die Abrechnung verwaltet der Inhaber des Kontos'));
});

test('twenty sessions at once make one customer', async () => {
  const who = await somebody();
  const answers = await Promise.all(Array.from({ length: 20 }, () =>
    post(SESSION, who.token, { plan: 'pro', workspaceId: 'w' })));
  for (const answer of answers) expect(answer, 200);
  const mine = (await stripe.all('customers')).filter((c) => c.metadata.user_id === who.id);
  assert.equal(mine.length, 1);
});

// -- the way back ------------------------------------------------------------------------------------

test('coming back stores the subscription and gives its plan', async () => {
  const who = await somebody();
  const session = await subscribe(who);
  assert.equal((await summaryOf(who.token)).plan, 'free');
  const query = `session_id=${session.id}&ws=${encodeURIComponent('w&1')}&return_to=%2Fwelcome%3Fx%3D1`;
  assert.equal(back(await get(`${SYNC}?${query}`, who.token)), '/welcome?x=1');
  const data = await summaryOf(who.token);
  assert.deepEqual([data.plan, data.status, data.monthlyLimit], ['pro', 'active', 300]);
  assert.deepEqual(service.sql(`SELECT customer_id FROM stripe_customers WHERE user_id = '${who.id}'`),
    [[session.customer]]);
});

for (const [returnTo, path] of [['//evil.example', '/dashboard?ws=w%26x'],
  ['/\\evil', '/dashboard?ws=w%26x'], ['/ü b', '/%C3%BC%20b'], ['', '/dashboard?ws=w%26x']])
  test(`coming back with return_to ${returnTo || '(none)'} leads to ${path}`, async () => {
    const who = await somebody();
    const { id } = await subscribe(who);
    const query = `session_id=${id}&ws=w%26x&return_to=${encodeURIComponent(returnTo)}`;
    assert.equal(back(await get(`${SYNC}?${query}`, who.token)), path);
  });

test('what is wrong is told to the dashboard', async () => {
  const who = await somebody();
  const other = await somebody();
  const { id } = await subscribe(other);
  const dashboard = '/dashboard?ws=w%20%C3%BC&billing=';
  const query = `ws=${encodeURIComponent('w ü')}`;
  assert.equal(back(await get(`${SYNC}?${query}`, who.token)), `${dashboard}missing_session`);
  assert.equal(back(await get(`${SYNC}?${query}&session_id=cs_none`, who.token)),
    `${dashboard}sync_error`);
  assert.equal(back(await get(`${SYNC}?${query}&session_id=${id}`, who.token)),
    `${dashboard}forbidden`);
  assert.equal((await summaryOf(who.token)).plan, 'free');
  const elsewhere = await somebody(plain);
  const answer = expect(await get(`${SYNC}?session_id=${id}`, elsewhere.token, plain), 302);
  assert.equal(answer.headers.location, `${plain.url}/dashboard?ws=default&billing=stripe_not_configured`);
});

test('coming back is for users and for GET', async () => {
  expect(await get(`${SYNC}?session_id=cs_1`), 401, refusal('auth_error', 'Unauthorized'));
  const answer = await post(SYNC, undefined, {});
  expect(answer, 405, refusal('method_not_allowed', 'Method Not Allowed'));
});

test('coming back from buying credits changes no plan', async () => {
  const who = await somebody();
  expect(await post(CREDITS, who.token, { pack: 100 }), 200);
  const { id } = await lastSession(who.id);
  await stripe.act({ complete: id });
  assert.equal(back(await get(`${SYNC}?session_id=${id}`, who.token)), '/dashboard?ws=default');
  const data = await summaryOf(who.token);
  assert.deepEqual([data.plan, data.status], ['free', 'inactive']);
});

test('a checkout that names nobody is whose email it has', async () => {
  const payer = await somebody();
  const made = await stripe.post('/v1/checkout/sessions', { mode: 'subscription',
    customer_email: payer.email, success_url: 'https://x.example',
    'line_items[0][price]': 'price_pro_monthly', 'line_items[0][quantity]': '1' });
  await stripe.act({ complete: made.id });
  const thief = await somebody();
  const after = async (who) => back(await get(`${SYNC}?session_id=${made.id}`, who.token));
  assert.equal(await after(thief), '/dashboard?ws=default&billing=forbidden');
  assert.equal(await after(payer), '/dashboard?ws=default');
});

test('a checkout of nobody\'s with another user\'s customer is not taken over', async () => {
  const owner = await somebody();
  const { customer } = await subscribe(owner);
  const made = await stripe.post('/v1/checkout/sessions', { mode: 'subscription', customer,
    success_url: 'https://x.example', 'line_items[0][price]': 'price_pro_monthly',
    'line_items[0][quantity]': '1' });
  await stripe.act({ complete: made.id });
  const thief = await somebody();
  assert.equal(back(await get(`${SYNC}?session_id=${made.id}`, thief.token)),
    '/dashboard?ws=default&billing=forbidden');
  assert.equal((await summaryOf(thief.token)).plan, 'free');
});

/// The creator dashboard's referrals: code and link, who was referred, and the reward (hub.md §3, §10).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { hubHeaders, startShop } from './stripe.mjs';

const SUMMARY = '/api/dashboard/referral-summary', REFERRAL = '/api/dashboard/referral';
const FRONT = 'https://app.example.com', SECRET = 'whsec_referrals';
let shop, service, stripe, limited;

before(async () => {
  [shop, limited] = await Promise.all([
    startShop({ STRIPE_WEBHOOK_SECRET: SECRET, ALLOWED_ORIGINS: FRONT,
      ENABLE_REFERRAL_REWARDS: 'on', REFERRAL_REWARD_TENTHS: '75' }),
    startService(),
  ]);
  ({ service, stripe } = shop);
  await stripe.command('POST', '/webhooks', { url: `${service.url}/api/webhooks/stripe`, secret: SECRET });
});
after(() => Promise.all([shop?.stop(), limited?.stop()]));

let people = 0;
async function somebody(at = service) {
  const token = await at.token(`friend${++people}@example.com`);
  return { token, id: subjectOf(token) };
}
const get = (who, headers = {}) => service.call('GET', SUMMARY, { token: who?.token, headers });
const summaryOf = async (who, headers) => expect(await get(who, headers), 200).json.data;
const post = (who, body, path = REFERRAL) =>
  service.call('POST', path, { ...hubHeaders(service), token: who?.token, body });
const refusal = (type, message) => ({ success: false, error: { type, message } });
const invalid = (answer, field) => {
  const { error } = expect(answer, 400).json;
  assert.deepEqual([error.type, error.message], ['validation_error', 'Invalid JSON body']);
  if (field) assert.deepEqual(Object.keys(error.details.details.fieldErrors), [field]);
};
/// A new customer sent by `owner`.
async function referredBy(owner) {
  const { referralCode } = await summaryOf(owner);
  const friend = await somebody();
  expect(await post(friend, { ref: referralCode }), 200);
  return friend;
}
/// Buys credits and pays; answers once the webhook was applied.
async function buyCredits(who) {
  expect(await post(who, { pack: 100 }, '/api/billing/credits'), 200);
  const { id } = (await stripe.all('sessions')).filter((s) => s.client_reference_id === who.id).at(-1);
  await stripe.act({ complete: id });
  await until('the credits are there', () => service.sql(
    `SELECT 1 FROM credit_entries WHERE source = 'checkout:${id}'`).length === 1);
}

// -- the summary -------------------------------------------------------------------------------------

test('whoever asks first gets a code made from the id, and a link with it', async () => {
  const who = await somebody();
  const asked = Date.now();
  const { data } = expect(await get(who), 200).json;
  const stem = who.id.replace(/[^a-z0-9]/gi, '').toLowerCase().slice(0, 16);
  assert.ok(data.referralCode.startsWith(stem), data.referralCode);
  assert.match(data.referralCode, /^[a-z0-9_-]{6,64}$/);
  assert.ok(data.updatedAt >= asked - 1 && data.updatedAt <= Date.now(), `${data.updatedAt} is in ms`);
  assert.deepEqual(data, {
    referralCode: data.referralCode,
    referralLink: `${service.url}/register?ref=${data.referralCode}`,
    stats: { referredTotal: 0, verified: 0, paid: 0, pending: 0, cancelled: 0, totalCredits: 0 },
    recentEvents: [], updatedAt: data.updatedAt,
  });
  assert.equal((await summaryOf(who)).referralCode, data.referralCode);
});

test('users whose ids begin alike get different codes', async () => {
  const codes = [];
  for (const end of ['one', 'two', 'three']) {
    const id = `usr_Alike0000000000000${end}`;
    service.sql(`INSERT INTO users (id, created_at, updated_at) VALUES ('${id}', now(), now())`);
    await service.learnKeys();
    codes.push((await summaryOf({ token: service.mint({ sub: id }) })).referralCode);
  }
  assert.equal(codes[0], 'usralike00000000');
  for (const code of codes.slice(1)) assert.match(code, /^usralike00000000[0-9a-f]{8}$/);
  assert.equal(new Set(codes).size, 3);
});

test('twenty who ask at once with one account see one code', async () => {
  const who = await somebody();
  const answers = await Promise.all(Array.from({ length: 20 }, () => summaryOf(who)));
  assert.equal(new Set(answers.map((a) => a.referralCode)).size, 1);
});

for (const [what, headers, origin] of [
  ['an allowed origin', { Origin: FRONT }, FRONT],
  ['an allowed referer', { Referer: `${FRONT}/dashboard?x=1` }, FRONT],
  ['another referer beside it', { Origin: FRONT, Referer: 'https://evil.example/' }, FRONT],
  ['a strange origin', { Origin: 'https://evil.example' }, null],
  ['a strange origin and an allowed referer', { Origin: 'null', Referer: `${FRONT}/` }, FRONT],
  ['a strange referer', { Referer: `${FRONT}.evil.example/` }, null],
])
  test(`with ${what}, the link leads to ${origin ?? 'the service itself'}`, async () => {
    const data = await summaryOf(await somebody(), headers);
    assert.equal(data.referralLink, `${origin ?? service.url}/register?ref=${data.referralCode}`);
  });

test('the summary is for users and for GET', async () => {
  expect(await get(), 401, refusal('auth_error', 'Unauthorized'));
  const answer = expect(await post(undefined, {}, SUMMARY), 405,
    refusal('method_not_allowed', 'Method Not Allowed'));
  assert.match(answer.headers.allow, /GET/);
});

test('the summary shares the 30 calls a minute of the hub', async () => {
  const { token } = await somebody(limited);
  for (let i = 0; i < 30; ++i)
    expect(await limited.call('GET', i % 2 ? SUMMARY : '/api/dashboard/billing-summary', { token }), 200);
  const answer = expect(await limited.call('GET', SUMMARY, { token }), 429);
  assert.equal(answer.json.error, 'Rate limit exceeded');
  assert.equal(answer.headers['retry-after'], String(answer.json.retryAfter));
  expect(await limited.call('POST', REFERRAL, { ...hubHeaders(limited), token, body: {} }), 429);
});

// -- being referred ----------------------------------------------------------------------------------

test('a new customer says who sent them, once', async () => {
  const owner = await somebody();
  const { referralCode } = await summaryOf(owner);
  const friend = await somebody();
  for (const ref of [referralCode, referralCode.toUpperCase()])
    expect(await post(friend, { ref }), 200, { success: true, data: { recorded: true } });

  const { stats, recentEvents: [event, ...rest] } = await summaryOf(owner);
  assert.deepEqual([stats.referredTotal, stats.pending, rest.length], [1, 1, 0]);
  assert.match(event.id, /^ref_/);
  assert.ok(Math.abs(event.occurredAt - Date.now()) < 60_000);
  assert.deepEqual([event.status, event.creditsAwarded], ['pending', 0]);
  assert.deepEqual(service.sql(`SELECT action FROM audit_log WHERE actor = '${friend.id}'`),
    [['referral_recorded']]);

  const other = await somebody();
  const second = await summaryOf(other);
  expect(await post(friend, { ref: second.referralCode }), 409,
    refusal('validation_error', 'Eine andere Empfehlung war früher'));
});

test('a code that is one\'s own, nobody\'s, or comes too late is refused', async () => {
  const who = await somebody();
  const { referralCode } = await summaryOf(who);
  expect(await post(who, { ref: referralCode }), 409,
    refusal('validation_error', 'Das ist Ihr eigener Empfehlungscode'));
  expect(await post(who, { ref: 'nobody-has-this' }), 404,
    refusal('not_found', 'Unbekannter Empfehlungscode'));
  const old = await somebody();
  service.changeUser(old.id, `created_at = now() - interval '31 days'`);
  expect(await post(old, { ref: referralCode }), 409,
    refusal('validation_error', 'Nur neue Kunden können empfohlen werden'));
  for (const body of [{}, { ref: '' }, { ref: 1 }, { ref: 'x'.repeat(65) }]) invalid(await post(who, body), 'ref');
  for (const body of ['', '{', '[]']) invalid(await post(who, body));
});

test('a referral needs origin, token and credential, in this order', async () => {
  const { headers, cookie } = hubHeaders(service);
  const { token } = await somebody();
  const send = (options) => service.call('POST', REFERRAL, { body: {}, ...options });
  expect(await send({ token }), 403, refusal('forbidden', 'Missing Origin/Referer header'));
  expect(await send({ token, headers: { Origin: 'https://evil.example' } }), 403,
    refusal('forbidden', 'Origin not allowed'));
  expect(await send({ token, headers: { Origin: service.url } }), 403,
    refusal('forbidden', 'Invalid CSRF token'));
  expect(await send({ headers, cookie }), 401, refusal('auth_error', 'Unauthorized'));
  expect(await service.call('GET', REFERRAL, { token }), 405,
    refusal('method_not_allowed', 'Method Not Allowed'));
});

// -- the reward --------------------------------------------------------------------------------------

test('at the first payment, and only then, whoever referred the payer gets credits', async () => {
  const owner = await somebody();
  const friend = await referredBy(owner);
  await buyCredits(friend);
  await buyCredits(friend);

  const { stats, recentEvents: [event] } = await summaryOf(owner);
  assert.deepEqual(stats,
    { referredTotal: 1, verified: 1, paid: 0, pending: 0, cancelled: 0, totalCredits: 7 });
  assert.deepEqual([event.status, event.creditsAwarded], ['verified', 7]);
  assert.deepEqual(service.sql(`SELECT kind, source, tenths FROM credit_entries
    WHERE user_id = '${owner.id}'`), [['grant', `referral:${event.id}`, '75']]);
  const { data } = expect(await service.call('GET', '/api/dashboard/billing-summary',
    { token: owner.token }), 200).json;
  assert.equal(data.creditsRemaining, 7);
});

test('a paid invoice is a payment, one that is open is none', async () => {
  const owner = await somebody();
  const friend = await referredBy(owner);
  const customer = (await stripe.post('/v1/customers', { email: 'friend@else.example' })).id;
  service.sql(`INSERT INTO stripe_customers (user_id, customer_id, created_at)
    VALUES ('${friend.id}', '${customer}', now())`);
  await stripe.act({ addCard: { customer } });
  await stripe.act({ invoice: { customer, amount: 1500, status: 'open' } });
  assert.equal((await summaryOf(owner)).stats.pending, 1);
  await stripe.act({ invoice: { customer, amount: 1500, status: 'paid' } });
  await until('it is verified', async () => (await summaryOf(owner)).stats.verified === 1);
});

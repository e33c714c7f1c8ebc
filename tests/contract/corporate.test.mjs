/// Corporate deals of HubSpot, and what happens when HubSpot has trouble.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startHubSpot } from '../upstreams/hubspot.mjs';
import { goThrough, startProvider } from '../upstreams/lib/openid.mjs';
import { expect, freePort, startService, subjectOf } from './harness.mjs';

const ACME = '16586605456', NAMELESS = '16586605457', LONELY = '16586605458';
let service, hubspot;

const settings = (more = {}) => ({
  HUBSPOT_API_KEY: hubspot.key,
  BINNACLE_HUBSPOT_API_URL: hubspot.url,
  BINNACLE_HUBSPOT_TIMEOUT: '1s',
  BINNACLE_RATE_LIMIT_SCALE: '1000',
  ...more,
});
before(async () => {
  hubspot = await startHubSpot();
  service = await startService({ env: settings() });
});
after(() => Promise.all([service?.stop(), hubspot?.close()]));
beforeEach(() => { hubspot.faults.clear(); hubspot.log.clear(); });

const validate = (body, of = service) =>
  of.call('POST', '/api/auth/validate-corporate', { body });
const asked = () => hubspot.log.entries.map(({ url }) => url);

// -- the deal -------------------------------------------------------------------------------------

test('a deal is shown with its company, and a logo by its domain', async () => {
  expect(await validate({ dealId: ACME, checkDealOnly: true }), 200, {
    valid: true, dealName: 'ACME Annual Platform', companyName: 'ACME Corp',
    companyLogo: 'https://logo.clearbit.com/acme.com', companyDomain: 'acme.com' });
  assert.deepEqual(asked(), [`/crm/v3/objects/deals/${ACME}?associations=company`,
    '/crm/v3/objects/companies/501?properties=name,company,logo,website,domain']);
});

test('a company of other fields has their name, logo and domain', async () => {
  expect(await validate({ dealId: LONELY, checkDealOnly: true }), 200, {
    valid: true, dealName: 'Lonely', companyName: 'Umbrella',
    companyLogo: 'https://cdn.umbrella.example/logo.png', companyDomain: 'umbrella.example' });
});

test('a deal without a company is valid all the same', async () => {
  expect(await validate({ dealId: NAMELESS, checkDealOnly: true }), 200, {
    valid: true, dealName: 'Nameless', companyName: null, companyLogo: null, companyDomain: null });
});

test('an unknown deal is 404', async () => {
  expect(await validate({ dealId: '1', checkDealOnly: true }), 404, { error: 'Deal not found' });
  expect(await validate({ dealId: '1', email: 'a@acme.com' }), 404, { error: 'Deal not found' });
});

for (const dealId of ['1/../../contacts/701', '1?x=1', '12 ', 'abc', '-1', '1e3', '9'.repeat(21)]) {
  test(`${JSON.stringify(dealId)} is no deal and is not asked for`, async () => {
    expect(await validate({ dealId, checkDealOnly: true }), 400,
      { error: 'dealId must be 1 to 20 digits', details: 'dealId' });
    assert.deepEqual(asked(), []);
  });
}

test('what is missing is named', async () => {
  expect(await validate({}), 400, { error: 'Missing dealId', details: 'dealId' });
  expect(await validate({ dealId: '' }), 400, { error: 'Missing dealId', details: 'dealId' });
  expect(await validate({ dealId: ACME }), 400,
    { error: 'Missing email for full validation', details: 'email' });
  expect(await validate('{'), 400);
});

// -- who may sign up ------------------------------------------------------------------------------

test('an address of a contact\'s domain is valid, whatever its case', async () => {
  expect(await validate({ dealId: ACME, email: 'Anybody@ACME.com' }), 200, { valid: true, dealId: ACME,
    dealName: 'ACME Annual Platform', dealStage: 'closedwon', email: 'anybody@acme.com' });
  expect(await validate({ dealId: ACME, email: 'x@runner.example' }), 200);
  expect(await validate({ dealId: ACME, email: 'staff@hopsworks.ai' }), 200);
});

for (const email of ['a@example.com', 'a@evil-acme.com', 'a@acme.com.evil.example']) {
  test(`${email} does not belong to the deal`, async () => {
    expect(await validate({ dealId: ACME, email }), 403,
      { error: 'Email domain not authorized for this corporate account', valid: false });
  });
}

for (const email of ['acme.com', 'a@', '@acme.com', 'a b@acme.com', '<script>@acme.com']) {
  test(`${email} is no address, and HubSpot is not asked`, async () => {
    expect(await validate({ dealId: ACME, email }), 400, { error: 'Invalid email address', details: 'email' });
    assert.deepEqual(asked(), []);
  });
}

test('a deal without contacts lets nobody in', async () => {
  expect(await validate({ dealId: LONELY, email: 'staff@hopsworks.ai' }), 400,
    { error: 'No contacts associated with deal' });
});

test('contacts are read page by page, until one fits', async () => {
  const ids = Array.from({ length: 130 }, (_, i) => String(9000 + i));
  hubspot.crm.deals[77] = { properties: { dealname: 'Many' }, companies: [], contacts: ids };
  for (const id of ids) hubspot.crm.contacts[id] = { email: `x@d${id}.example` };
  expect(await validate({ dealId: '77', email: 'a@d9129.example' }), 200);
  assert.ok(asked().some((url) => url.includes('after=100')));
  hubspot.log.clear();
  expect(await validate({ dealId: '77', email: 'a@d9000.example' }), 200);
  assert.deepEqual(asked().slice(1), ['/crm/v3/objects/deals/77/associations/contacts?limit=100',
    '/crm/v3/objects/contacts/batch/read']);
});

test('a contact that is gone is nobody', async () => {
  hubspot.crm.deals[79] = { properties: { dealname: 'Parted' }, companies: [], contacts: ['4040', '701'] };
  expect(await validate({ dealId: '79', email: 'a@acme.com' }), 200);
});

test('no deal makes more than a dozen calls, however many contacts it has', async () => {
  const ids = Array.from({ length: 700 }, (_, i) => String(20_000 + i));
  hubspot.crm.deals[78] = { properties: { dealname: 'Endless' }, companies: [], contacts: ids };
  for (const id of ids) hubspot.crm.contacts[id] = { email: `x@d${id}.example` };
  expect(await validate({ dealId: '78', email: 'a@example.com' }), 403);
  assert.ok(asked().length <= 12, asked().length);
});

// -- signing up ----------------------------------------------------------------------------------

const claims = {};
const person = (name, email, email_verified = true) => { claims[name] = { email, email_verified, name }; return name; };
let provider, portal;
/// A service that browsers log in to through a provider; logs one in with a deal in hand.
async function signUp(who, deal, how = 'signup') {
  const browser = portal.browser();
  const begun = expect(await browser.call('GET', `/api/auth/${how}?login_hint=${who}&corporateRef=${deal}`), 302);
  const path = await goThrough(begun.headers.location, portal.url);
  expect(await browser.call('GET', path), 302);
  return expect(await browser.call('GET', '/api/user/corporate-info'), 200).json;
}
const accountOf = (email) => portal.sql(`SELECT billing_mode, metadata->>'corporate_ref', feature_flags->>'prepaid_enabled'
  FROM users WHERE email = '${email}'`)[0];

test('who signs up for a deal is paid for by it', async (t) => {
  const [port, providerPort] = [await freePort(), await freePort()];
  const base = `http://127.0.0.1:${port}`;
  provider = await startProvider({ port: providerPort, claims: (id) => claims[id],
    client: { client_id: 'dashboard', token_endpoint_auth_method: 'none', redirect_uris: [`${base}/api/auth/callback`] } });
  portal = await startService({ env: settings({ BINNACLE_LISTEN: `127.0.0.1:${port}`, AUTH0_BASE_URL: base,
    AUTH0_ISSUER_BASE_URL: provider.issuer, AUTH0_CLIENT_ID: 'dashboard' }) });
  t.after(() => Promise.all([portal.stop(), provider.close()]));

  await t.test('with a verified address that belongs to it', async () => {
    assert.deepEqual(await signUp(person('wile', 'wile@acme.com'), ACME), { isCorporate: true, corporateRef: ACME,
      companyName: 'ACME Corp', companyLogo: 'https://logo.clearbit.com/acme.com', companyDomain: 'acme.com' });
    assert.deepEqual(accountOf('wile@acme.com'), ['prepaid', ACME, 'true']);
    assert.deepEqual(portal.sql(`SELECT count(*) FROM audit_log WHERE action = 'CORPORATE_DEAL_TAKEN_UP' AND target = '${ACME}'`), [['1']]);
  });
  await t.test('once: the first deal stays', async () => {
    hubspot.crm.deals[88] = { properties: { dealname: 'Other' }, companies: [], contacts: ['888'] };
    hubspot.crm.contacts[888] = { email: 'x@acme.com' };
    assert.equal((await signUp('wile', '88', 'login')).corporateRef, ACME);
    assert.deepEqual(portal.sql("SELECT count(*) FROM audit_log WHERE action = 'CORPORATE_DEAL_TAKEN_UP'"), [['1']]);
  });
  await t.test('also somebody who is known, but not who pays by subscription or is in a team', async () => {
    for (const name of ['known', 'payer', 'member']) await portal.token(`${name}@acme.com`);
    const idOf = (name) => portal.sql(`SELECT id FROM users WHERE email = '${name}@acme.com'`)[0][0];
    portal.sql(`INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at, updated_at)
      VALUES ('sub_1', '${idOf('payer')}', 'cus_1', 'usage', 'active', now(), now(), now())`);
    portal.changeUser(idOf('member'), `account_owner_id = '${idOf('payer')}'`);
    for (const [name, corporate] of [['known', true], ['payer', false], ['member', false]])
      assert.equal((await signUp(person(name, `${name}@acme.com`), ACME, 'login')).isCorporate, corporate, name);
  });
  await t.test('but nobody whose address is another\'s, or is not verified', async () => {
    for (const who of [person('eve', 'eve@example.com'), person('mallory', 'mallory@acme.com', false)])
      assert.deepEqual(await signUp(who, ACME), { isCorporate: false });
  });
  await t.test('while HubSpot is down the login works, and can be repeated', async () => {
    hubspot.faults.add({ kind: 'status', status: 500, times: 99 });
    assert.deepEqual(await signUp(person('late', 'late@acme.com'), ACME), { isCorporate: false });
  });
  await t.test('what is no deal is refused at once', async () => {
    expect(await portal.call('GET', '/api/auth/signup?corporateRef=1/../2'), 400,
      { error: 'corporateRef must be 1 to 20 digits', details: 'corporateRef' });
  });
});

// -- whose company --------------------------------------------------------------------------------

async function corporate(email, ref, mode = 'prepaid') {
  const token = await service.token(email);
  const metadata = ref === undefined ? '{}' : JSON.stringify({ corporate_ref: ref });
  service.changeUser(subjectOf(token), `billing_mode = '${mode}', metadata = '${metadata}'`);
  return () => service.call('GET', '/api/user/corporate-info', { token });
}

test('a prepaid user of a deal sees the company', async () => {
  const info = await corporate('wile@acme.com', ACME);
  expect(await info(), 200, { isCorporate: true, corporateRef: ACME, companyName: 'ACME Corp',
    companyLogo: 'https://logo.clearbit.com/acme.com', companyDomain: 'acme.com' });
});

test('everybody else is not corporate, and HubSpot is not asked', async () => {
  for (const info of [await corporate('none@example.com'), await corporate('post@example.com', ACME, 'postpaid')])
    expect(await info(), 200, { isCorporate: false });
  assert.deepEqual(asked(), []);
  expect(await service.call('GET', '/api/user/corporate-info'), 401, { error: 'Not authenticated' });
  expect(await service.call('POST', '/api/user/corporate-info', { body: {} }), 405);
});

test('a reference that leads nowhere shows no company', async () => {
  for (const ref of ['999', 'words'])
    expect(await (await corporate(`${ref}@example.com`, ref))(), 200,
      { isCorporate: true, corporateRef: ref, companyName: null, companyLogo: null });
});

// -- HubSpot in trouble ---------------------------------------------------------------------------

test('one failure is made good by a second call', async () => {
  for (const fault of [{ kind: 'status', status: 503 }, { kind: 'reset' }, { kind: 'truncate' }]) {
    hubspot.faults.add(fault);
    expect(await validate({ dealId: ACME, checkDealOnly: true }), 200);
  }
});

// Each fault in a service of its own: the circuit is open afterwards.
for (const [what, fault] of [
  ['fails', { kind: 'status', status: 500, times: 99 }],
  ['throttles', { kind: 'status', status: 429, times: 99 }],
  ['refuses the token', { kind: 'status', status: 401, times: 99 }],
  ['answers garbage', { kind: 'garbage', times: 99 }],
  ['hangs', { kind: 'hang', times: 99 }],
  ['resets', { kind: 'reset', times: 99 }],
]) {
  test(`while HubSpot ${what}, that is said, and everything else goes on`, async (t) => {
    const other = await startService({ env: settings() });
    t.after(() => other.stop());
    hubspot.faults.add(fault);
    expect(await validate({ dealId: ACME, checkDealOnly: true }, other), 500,
      { error: 'Failed to validate deal' });
    expect(await validate({ dealId: ACME, email: 'a@acme.com' }, other), 500,
      { error: 'Failed to validate corporate account', valid: false });
    const token = await other.token('ada@example.com');
    other.changeUser(subjectOf(token),
      `billing_mode = 'prepaid', metadata = '{"corporate_ref":"${ACME}"}'`);
    expect(await other.call('GET', '/api/user/corporate-info', { token }), 200,
      { isCorporate: true, corporateRef: ACME, companyName: null, companyLogo: null });
    expect(await other.call('GET', '/api/pricing'), 200);
  });
}

test('after failures in a row HubSpot is left alone', async (t) => {
  const other = await startService({ env: settings() });
  t.after(() => other.stop());
  hubspot.faults.add({ kind: 'status', status: 500, times: 99 });
  for (let i = 0; i < 8; ++i) expect(await validate({ dealId: ACME, checkDealOnly: true }, other), 500);
  assert.equal(hubspot.log.entries.length, 5);
});

test('without a key it says that it is not configured', async (t) => {
  const other = await startService({ env: { BINNACLE_RATE_LIMIT_SCALE: '1000' } });
  t.after(() => other.stop());
  for (const body of [{ dealId: ACME, checkDealOnly: true }, { dealId: ACME, email: 'a@acme.com' }])
    expect(await validate(body, other), 500, { error: 'HubSpot integration not configured' });
});

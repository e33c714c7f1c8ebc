/// A creator's browser, from the login to credits that were paid for: one story over plain HTTP,
/// with nothing but the cookies that the service sets.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, until } from './harness.mjs';
import { startShop } from './stripe.mjs';

const SECRET = 'whsec_story';
let shop, service, stripe;
before(async () => {
  shop = await startShop({ STRIPE_WEBHOOK_SECRET: SECRET, ENABLE_REFERRAL_REWARDS: '1',
    REFERRAL_REWARD_TENTHS: '50' });
  ({ service, stripe } = shop);
  await stripe.command('POST', '/webhooks', { url: `${service.url}/api/billing/stripe-webhook`, secret: SECRET });
});
after(() => shop?.stop());

/// Logs in and fetches a CSRF token, as the front end does when it starts.
async function openDashboard(username) {
  await service.user(username, { email: `${username}@example.com` });
  const browser = service.browser();
  const { user } = expect(await browser.call('POST', '/api/auth/login',
    { body: { username, password: PASSWORD }, headers: { Origin: service.url } }), 200).json;
  const { csrfToken } = expect(await browser.call('GET', '/api/csrf'), 200).json;
  assert.equal(browser.jar.csrf_token, csrfToken);
  return {
    id: user.id,
    get: async (path) => {
      const answer = expect(await browser.call('GET', path), 200);
      assert.match(answer.headers['server-timing'], /total;dur=/);
      return answer.json;
    },
    post: async (path, body) => expect(await browser.call('POST', path, { body,
      headers: { Origin: service.url, Referer: `${service.url}/dashboard`, 'X-CSRF-Token': csrfToken } }),
    200).json,
    follow: async (url) => {
      const { pathname, search } = new URL(url);
      return browser.call('GET', pathname + search);
    },
    logOut: () => browser.call('POST', '/api/auth/logout', { headers: { Origin: service.url } }),
    browser,
  };
}

test('a creator comes by a friend\'s link, buys credits and a plan, and both are better off', async () => {
  const friend = await openDashboard('friend');
  const { data: { referralLink } } = await friend.get('/api/dashboard/referral-summary');
  const ref = new URL(referralLink).searchParams.get('ref');

  const creator = await openDashboard('creator');
  await creator.post('/api/dashboard/referral', { ref });
  assert.equal((await creator.get('/api/dashboard/billing-summary')).data.creditsRemaining, 0);

  const { url } = await creator.post('/api/billing/credits', { pack: 100, workspaceId: 'studio' });
  const session = (await stripe.all('sessions')).find((s) => s.url === url);
  await stripe.act({ complete: session.id }); // the creator pays on Stripe's page
  assert.equal(session.success_url, `${service.url}/dashboard?ws=studio&credits=1`);
  await until('the webhook has brought the credits', async () =>
    (await creator.get('/api/dashboard/billing-summary')).data.creditsRemaining === 100);

  const { data } = await creator.post('/api/billing/session', { plan: 'pro', workspaceId: 'studio' });
  const plan = (await stripe.all('sessions')).find((s) => s.url === data.url);
  await stripe.act({ complete: plan.id });
  const back = plan.success_url.replace('{CHECKOUT_SESSION_ID}', plan.id);
  assert.equal(expect(await creator.follow(back), 302).headers.location,
    `${service.url}/dashboard?ws=studio`);
  const summary = (await creator.get('/api/dashboard/billing-summary')).data;
  assert.deepEqual([summary.plan, summary.status, summary.creditsRemaining], ['pro', 'active', 100]);

  const { stats } = (await friend.get('/api/dashboard/referral-summary')).data;
  assert.deepEqual([stats.verified, stats.totalCredits], [1, 5]);
  assert.equal((await friend.get('/api/dashboard/billing-summary')).data.creditsRemaining, 5);
  const [news] = (await friend.get('/api/dashboard/notifications')).data;
  assert.deepEqual([news.type, news.title], ['referral', 'Referral verified']);

  await creator.post('/api/dashboard/perform-action', { action: 'create_project' });
  assert.equal((await creator.get('/api/dashboard/projects')).length, 1);
  assert.deepEqual((await creator.get('/api/dashboard/activity')).map((a) => a.action),
    ['project created', 'credits checkout session created', 'referral recorded', 'user login']);

  expect(await creator.logOut(), 200);
  expect(await creator.browser.call('GET', '/api/dashboard/billing-summary'), 401);
});

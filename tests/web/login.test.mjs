// A person with a browser: logs in through the provider's form, opens /docs and makes calls with the
// session that the login has left.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort, startService } from '../contract/harness.mjs';
import { startProvider } from '../upstreams/lib/openid.mjs';
import { startBrowser } from './browser.mjs';

let service, provider, page, base;
before(async () => {
  base = `http://127.0.0.1:${await freePort()}`;
  provider = await startProvider({ form: true, client: {
    client_id: 'dashboard', client_secret: 'a secret', redirect_uris: [`${base}/api/auth/callback`],
    post_logout_redirect_uris: [`${base}/docs`] } });
  service = await startService({ env: {
    BINNACLE_LISTEN: new URL(base).host, BINNACLE_RATE_LIMIT_SCALE: '100',
    AUTH0_ISSUER_BASE_URL: provider.issuer, AUTH0_BASE_URL: base,
    AUTH0_CLIENT_ID: 'dashboard', AUTH0_CLIENT_SECRET: 'a secret',
  } });
  page = await startBrowser(service.directory);
});
after(async () => {
  await page?.close();
  await Promise.all([service?.stop(), provider?.close()]);
});

const at = (url) => page.until(`location.href.startsWith(${JSON.stringify(url)}) && document.readyState === 'complete'`);
/// Sends the request that /docs proposes for an operation; what it shows of the answer.
async function tryOut(operation) {
  await page.open('about:blank');
  await page.open(`${base}/docs#${operation}`);
  await page.until('document.querySelector("main form button")');
  await page.click('main form button');
  return page.until('document.querySelector("#answer .status") && document.querySelector("#answer").innerText');
}

test('without a login a call is refused', async () => {
  assert.match(await tryOut('getUsage'), /^401 Unauthorized/);
});

test('a login through the form leads back to the page it was for', async () => {
  await page.open(`${base}/api/auth/login?returnTo=/docs`);
  await page.until('document.querySelector("input[name=login]")');
  assert.ok((await page.run('location.href')).startsWith(`${provider.issuer}/interaction/`));
  await page.type('input[name=login]', 'ada');
  await page.type('input[name=password]', 'whatever it is');
  await page.click('button[type=submit]');
  await at(`${base}/docs`);
  assert.deepEqual(service.sql('SELECT email, name FROM users'), [['ada@example.com', 'Name of ada']]);
});

test('then a call is answered by the cookie, which no script can read', async () => {
  assert.match(await tryOut('getUsage'), /^200 OK[\s\S]*"currentMonth": "\d{4}-\d{2}"/);
  assert.doesNotMatch(await page.run('document.cookie'), /appSession|auth_verification/);
});

test('and a write, too', async () => {
  assert.match(await tryOut('invite'), /^200 OK[\s\S]*Invite sent successfully/);
  assert.deepEqual(service.sql('SELECT u.email FROM team_invites i JOIN users u ON u.id = i.account_owner_id'),
    [['ada@example.com']]);
});

test('after a logout it is refused again', async () => {
  await page.open(`${base}/api/auth/logout?returnTo=/docs`);
  await at(`${provider.issuer}/session/end`);
  assert.match(await tryOut('getUsage'), /^401 Unauthorized/);
});

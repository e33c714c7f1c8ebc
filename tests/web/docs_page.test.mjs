// The page at /docs, in a real browser, and the documents it is made of.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, startService } from '../contract/harness.mjs';
import { description, operations } from '../openapi/validator.mjs';
import { startBrowser } from './browser.mjs';

let service, page, token;
before(async () => {
  service = await startService({ env: { BINNACLE_RATE_LIMIT_SCALE: '100' } });
  token = await service.adminToken();
  page = await startBrowser(service.directory);
});
after(async () => { await page?.close(); await service?.stop(); });

/// A route that several surfaces have stands under each.
const listed = operations.flatMap(({ operation }) => operation.tags.map(() => operation.operationId));
const routeCount = 'document.querySelectorAll("#routes li").length';
const visible = '[...document.querySelectorAll("#routes li a")].filter((a) => a.offsetParent).map((a) => a.hash.slice(1))';
const open = async (hash = '') => {
  await page.open('about:blank');
  await page.open(`${service.url}/docs${hash}`);
  await page.until(routeCount);
};
const answered = () => page.until('document.querySelector("#answer .status") && document.querySelector("#answer").innerText');

test('the description is served as YAML and as the same in JSON', async () => {
  const yaml = expect(await service.call('GET', '/openapi.yaml'), 200);
  assert.equal(yaml.headers['content-type'], 'application/yaml');
  assert.match(yaml.text, /^openapi: 3\.1\.0\n/);
  const json = expect(await service.call('GET', '/openapi.json'), 200);
  assert.deepEqual(json.json, description);
  assert.match(json.headers['cache-control'], /^public/);
});

test('documents are revalidated, and compressed for who takes it', async () => {
  for (const path of ['/openapi.yaml', '/openapi.json', '/docs', '/docs/page.js']) {
    const first = expect(await service.call('GET', path), 200);
    const tag = { 'If-None-Match': first.headers.etag };
    const again = expect(await service.call('GET', path, { headers: tag }), 304);
    assert.equal(again.text, '');
    const small = expect(await service.call('GET', path, { headers: { 'Accept-Encoding': 'gzip' } }), 200);
    assert.equal(small.headers['content-encoding'], 'gzip');
    assert.ok(small.raw.length < first.raw.length, path);
    expect(await service.call('HEAD', path), 200);
    expect(await service.call('POST', path), 405);
  }
});

test('the page may load from nowhere else, and be framed by nobody', async () => {
  const { headers } = expect(await service.call('GET', '/docs'), 200);
  const policy = headers['content-security-policy'];
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
    "img-src 'self' data:", "frame-ancestors 'none'"])
    assert.ok(policy.split('; ').includes(rule), `${rule} in ${policy}`);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
});

test('the page lists every route, without a complaint and from here only', async () => {
  await open();
  assert.deepEqual((await page.run(visible)).sort(), [...listed].sort());
  assert.deepEqual(page.complaints, []);
  for (const url of page.requests.filter((each) => !/^(about|data):/.test(each)))
    assert.ok(url.startsWith(service.url), url);
});

test('a policy that is violated would be noticed', async () => {
  await open();
  await page.run('document.body.append(Object.assign(document.createElement("script"), { textContent: "1" }))');
  await page.until('true');
  assert.match(page.complaints.join(), /Content Security Policy/);
  page.complaints.length = 0;
});

test('every route can be opened', async () => {
  await open();
  for (const { method, path, operation } of operations) {
    await page.run(`location.hash = ${JSON.stringify(operation.operationId)}`);
    await page.until(`document.querySelector('h1')?.innerText.includes(${JSON.stringify(path)}) &&
      document.title.startsWith(${JSON.stringify(method)})`);
    for (const status of Object.keys(operation.responses))
      assert.ok((await page.text('main')).includes(status), `${path} without ${status}`);
  }
  assert.deepEqual(page.complaints, []);
});

test('the search narrows the list', async () => {
  await open();
  await page.type('#search', 'post webhook stripe');
  assert.deepEqual(await page.run(visible), ['receiveStripeEventAtHub', 'receiveStripeEvent']);
  assert.equal(await page.text('#found'), `2 of ${listed.length} routes`);
});

test('a call with a token shows its answer', async () => {
  await open('#listClusters');
  await page.click('main form button');
  assert.match(await answered(), /^401 Unauthorized/);
  await page.type('#token', token);
  await page.click('main form button');
  await page.until('document.querySelector("#answer .status.good")');
  assert.match(await page.text('#answer'), /^200 OK[\s\S]*"clusters": \[/);
});

test('a write sends the body, and proves itself where the surface asks for it', async () => {
  await open('#createCluster');
  await page.type('#token', token);
  await page.type('main textarea', JSON.stringify({ name: 'lagoon', api_url: 'https://lagoon.example' }));
  await page.click('main form button');
  assert.match(await answered(), /^201 Created[\s\S]*"name": "lagoon"/);

  page.complaints.length = 0; // the refusals above are listed as errors too
  await open('#buyCredits');
  await page.type('#token', token);
  await page.click('main form button');
  assert.match(await answered(), /^500[\s\S]*stripe_not_configured/); // past origin and CSRF token
});

test('a stream shows how it begins', async () => {
  await open('#listen');
  await page.type('#token', token);
  await page.click('main form button');
  assert.match(await answered(), /^200 OK[\s\S]*event: ready[\s\S]*…/);
});

test('numbers are shown digit by digit', async () => {
  await open();
  const shown = await page.run(`import('/docs/request.js').then(({ indented }) =>
    indented('{"a":[1.10,{}],"b":"x:{,","c":12345678901234567890.5}'))`);
  assert.equal(shown, '{\n  "a": [\n    1.10,\n    {}\n  ],\n  "b": "x:{,",\n  "c": 12345678901234567890.5\n}');
});

test('everything that can be operated has a name', async () => {
  await open('#createCluster');
  const nameless = await page.run(`[...document.querySelectorAll('input, select, textarea, button, nav, a')]
    .filter((each) => !(each.labels?.length || each.getAttribute('aria-label') || each.innerText.trim()))
    .map((each) => each.outerHTML)`);
  assert.deepEqual(nameless, []);
  assert.equal(await page.run('document.querySelectorAll("h1").length'), 1);
  assert.equal(await page.run('document.querySelector("#routes [aria-current]").hash'), '#createCluster');
});

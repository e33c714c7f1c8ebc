/// What holds for every route: headers, dialects of errors, caching, limits, origins.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { HOUR, PASSWORD, expect, iso, startCompany, startOfHour } from './harness.mjs';

let company, service, admin;
before(async () => {
  company = await startCompany({
    standIn: ['--namespaces', 'analytics'],
    env: { BINNACLE_HTTP_ALLOWED_ORIGINS: 'https://dashboard.example.com,http://localhost:3000' },
  });
  ({ service, admin } = company);
});
after(() => company?.stop());

let addresses = 0, people = 0;
const somewhere = () => `127.3.${addresses >> 7}.${(addresses++ & 127) + 1}`;
/// A user nobody has counted calls of.
const somebody = (...more) => service.token(`somebody-${++people}@example.com`, ...more);

/// Bytes as they go over the wire, until the server closes.
function wire(text) {
  return new Promise((done, failed) => {
    const socket = net.connect(Number(new URL(service.url).port), '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (part) => { answer += part; });
    socket.on('error', failed);
    socket.on('end', () => { socket.end(); done(answer); });
    socket.write(text);
  });
}

const SECURITY = {
  'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'strict-origin-when-cross-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), interest-cohort=()',
};
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

function assertCommonHeaders(answer) {
  for (const [name, value] of Object.entries(SECURITY))
    assert.equal(answer.headers[name], value, `${answer.asked}: ${name}`);
  assert.match(answer.headers['x-request-id'], ULID, answer.asked);
  assert.ok(Math.abs(Date.parse(answer.headers.date) - Date.now()) < 60_000, answer.asked);
  const names = answer.rawHeaders.filter((_, i) => i % 2 === 0).map((n) => n.toLowerCase())
    .filter((n) => n !== 'set-cookie');
  assert.equal(new Set(names).size, names.length, `${answer.asked}: a header stands twice`);
}

// -- headers ----------------------------------------------------------------------------------------

test('every answer carries the security headers, a request id and the date', async () => {
  const token = await somebody();
  const asked = [
    ['GET', '/healthz', 200], ['GET', '/readyz', 200], ['GET', '/version', 200],
    ['GET', '/metrics', 200], ['GET', '/.well-known/jwks.json', 200], ['GET', '/api/pricing', 200],
    ['GET', '/api/setup', 200], ['GET', '/api/csrf', 200], ['HEAD', '/api/pricing', 200],
    ['GET', '/api/usage', 200, { token }], ['GET', '/api/billing', 200, { token }],
    ['GET', '/api/usage?format=csv', 200, { token }], ['OPTIONS', '/api/usage', 204],
    ['POST', '/api/auth/login', 400, { body: {} }], ['GET', '/api/usage', 401],
    ['GET', '/api/admin/clusters', 403, { token }], ['GET', '/nothing', 404],
    ['GET', '/api/nothing', 404], ['DELETE', '/api/usage', 405], ['POST', '/api/setup', 415,
      { body: 'x', headers: { 'Content-Type': 'text/plain' } }],
    ['POST', '/api/setup', 413, { body: 'x'.repeat(1_100_000) }],
    ['GET', `/api/pricing?${'x'.repeat(9000)}`, 414],
    ['GET', '/api/pricing', 431, { headers: { 'X-Long': 'x'.repeat(20_000) } }],
  ];
  for (const [method, path, status, options] of asked)
    assertCommonHeaders(expect(await service.call(method, path, { from: somewhere(), ...options }), status));
  const { etag } = (await service.call('GET', '/api/pricing')).headers;
  assertCommonHeaders(expect(
    await service.call('GET', '/api/pricing', { headers: { 'If-None-Match': etag } }), 304));
});

test('even an answer to what is no HTTP carries them', async () => {
  const answer = await wire('NONSENSE\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 400 /);
  for (const [name, value] of Object.entries(SECURITY))
    assert.ok(answer.toLowerCase().includes(`${name}: ${value.toLowerCase()}`), name);
  assert.match(answer, /X-Request-Id: [0-7][0-9A-Z]{25}\r\n/);
});

test('a good request id comes back, a bad one is replaced', async () => {
  const echo = async (id) => (await service.call('GET', '/healthz',
    { headers: { 'X-Request-Id': id } })).headers['x-request-id'];
  for (const id of ['abc-123', 'A.b_c:d', 'x'.repeat(128)]) assert.equal(await echo(id), id);
  for (const id of ['x'.repeat(129), 'with space', '<script>', '"quoted"'])
    assert.match(await echo(id), ULID);
});

test('request ids are sortable and never the same', async () => {
  const ids = [];
  for (let i = 0; i < 50; ++i)
    ids.push((await service.call('GET', '/healthz')).headers['x-request-id']);
  assert.equal(new Set(ids).size, ids.length);
  const times = ids.map((id) => id.slice(0, 10));
  assert.deepEqual(times, [...times].sort());
});

test('a trace goes on with a span of our own, a bad one is dropped', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736', span = '00f067aa0ba902b7';
  const send = async (traceparent) => (await service.call('GET', '/healthz',
    { headers: { traceparent } })).headers.traceparent;
  const back = await send(`00-${trace}-${span}-01`);
  assert.match(back, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  assert.ok(!back.includes(span));
  for (const bad of [`00-${'0'.repeat(32)}-${span}-01`, `00-${trace}-${'0'.repeat(16)}-01`,
    'nonsense', `00-${trace.toUpperCase()}-${span}-01`, `ff-${trace}-${span}-01`])
    assert.equal(await send(bad), undefined, bad);
});

test('a 200 says how long it took', async () => {
  for (const path of ['/api/pricing', '/healthz', '/api/setup'])
    assert.match(expect(await service.call('GET', path, { from: somewhere() }), 200)
      .headers['server-timing'], /total;dur=\d+(\.\d+)?$/);
  const token = await somebody();
  assert.match((await service.call('GET', '/api/billing', { token })).headers['server-timing'],
    /^db;dur=\d+(\.\d+)?, total;dur=\d+(\.\d+)?$/);
});

// -- caching ----------------------------------------------------------------------------------------

test('every cacheable GET has a tag, and the tag gives 304', async () => {
  const token = await somebody('--admin');
  for (const path of ['/api/usage', '/api/usage?format=csv', '/api/pricing', '/api/auth/me',
    '/api/admin/clusters', '/api/admin/usage/check-database', '/api/admin/timers',
    '/.well-known/jwks.json']) {
    const first = expect(await service.call('GET', path, { token }), 200);
    const { etag } = first.headers;
    assert.match(etag ?? '', /^"[^"]+"$/, path);
    const again = expect(await service.call('GET', path,
      { token, headers: { 'If-None-Match': etag } }), 304);
    assert.equal(again.raw.length, 0);
    assert.equal(again.headers.etag, etag);
    expect(await service.call('GET', path, { token, headers: { 'If-None-Match': '*' } }), 304);
    expect(await service.call('GET', path, { token, headers: { 'If-None-Match': '"other"' } }), 200);
    expect(await service.call('HEAD', path, { token, headers: { 'If-None-Match': etag } }), 304);
  }
});

test('data of users is private, and what must not be kept says so', async () => {
  const token = await somebody('--admin');
  const cache = async (method, path, options) =>
    (await service.call(method, path, { token, ...options })).headers['cache-control'];
  for (const path of ['/api/usage', '/api/auth/me', '/api/admin/clusters'])
    assert.equal(await cache('GET', path), 'private, no-cache', path);
  for (const path of ['/api/setup', '/healthz', '/metrics', '/api/csrf', '/api/nothing'])
    assert.equal(await cache('GET', path), 'no-store', path);
  assert.equal(await cache('POST', '/api/auth/logout'), 'no-store');
});

test('HEAD is GET without the body, to the byte', async () => {
  const token = await somebody();
  for (const path of ['/api/usage', '/api/pricing', '/api/auth/me', '/api/nothing']) {
    const get = await service.call('GET', path, { token });
    const head = await service.call('HEAD', path, { token });
    assert.equal(head.status, get.status, path);
    assert.equal(head.raw.length, 0);
    for (const name of ['content-length', 'content-type', 'etag', 'cache-control'])
      assert.equal(head.headers[name], get.headers[name], `${path}: ${name}`);
  }
});

test('a body over a kibibyte is compressed when asked, under another tag', async () => {
  const token = await somebody('--admin');
  for (let i = 0; i < 8; ++i)
    expect(await service.call('POST', '/api/admin/clusters', {
      token, body: { name: `many-${i}`, api_url: 'https://many.example.com' },
    }), 201);
  const get = (encoding, more = {}) => service.call('GET', '/api/admin/clusters',
    { token, headers: { ...(encoding ? { 'Accept-Encoding': encoding } : {}), ...more } });
  const plain = expect(await get(), 200);
  assert.ok(plain.raw.length > 1024);
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(plain.headers.vary, 'Accept-Encoding');
  for (const encoding of ['gzip', 'br, gzip;q=0.8', '*']) {
    const packed = expect(await get(encoding), 200);
    assert.equal(packed.headers['content-encoding'], 'gzip', encoding);
    assert.equal(packed.headers.vary, 'Accept-Encoding');
    assert.equal(gunzipSync(packed.raw).toString(), plain.text);
    assert.notEqual(packed.headers.etag, plain.headers.etag);
    expect(await get(encoding, { 'If-None-Match': packed.headers.etag }), 304);
  }
  for (const encoding of ['identity', 'gzip;q=0', 'br'])
    assert.equal((await get(encoding)).headers['content-encoding'], undefined, encoding);
  const small = await service.call('GET', '/healthz', { headers: { 'Accept-Encoding': 'gzip' } });
  assert.equal(small.headers['content-encoding'], undefined);
});

// -- methods and dialects ---------------------------------------------------------------------------

test('OPTIONS tells the methods of a path', async () => {
  for (const [path, allow] of [
    ['/api/usage', 'GET, HEAD, OPTIONS'], ['/api/setup', 'GET, HEAD, OPTIONS, POST'],
    ['/api/admin/clusters', 'GET, HEAD, OPTIONS, POST, PUT'],
    ['/api/admin/usage/collect', 'OPTIONS, POST'], ['/healthz', 'GET, HEAD, OPTIONS'],
    ['/api/auth/logout', 'GET, HEAD, OPTIONS, POST'], ['/api/usage/collect-opencost', 'GET, HEAD, OPTIONS, POST'],
  ]) {
    const answer = expect(await service.call('OPTIONS', path), 204);
    assert.equal(answer.headers.allow, allow, path);
    assert.equal(answer.raw.length, 0);
  }
  expect(await service.call('OPTIONS', '/api/nothing'), 404);
});

const dialects = {
  hub: (status, message) => ({ success: false, error: { type: {
    404: 'not_found', 405: 'method_not_allowed', 413: 'validation_error',
  }[status], message } }),
  plain: (status, message) => ({ error: message }),
  structured: (status, message) => ({ error: { code: {
    405: 'METHOD_NOT_ALLOWED', 413: 'VALIDATION_ERROR',
  }[status], message } }),
};
for (const [surface, method, path, status, body] of [
  ['hub', 'GET', '/api/dashboard/nothing', 404, dialects.hub(404, 'Ressource nicht gefunden')],
  ['hub', 'GET', '/api/newsletter/nothing', 404, dialects.hub(404, 'Ressource nicht gefunden')],
  ['hub', 'GET', '/api/csrf', 200],
  ['gateway (plain)', 'GET', '/api/containers/nothing', 404, dialects.plain(404, 'Not found')],
  ['gateway (plain)', 'POST', '/api/auth/me', 405, dialects.plain(405, 'Method not allowed')],
  ['gateway (structured)', 'GET', '/api/auth/change-password', 405,
    dialects.structured(405, 'Method not allowed')],
  ['platform', 'GET', '/api/nothing', 404, { error: 'Not found' }],
  ['platform', 'PATCH', '/api/usage', 405, { error: 'Method not allowed' }],
  ['operations', 'GET', '/nothing', 404, { error: 'Not found' }],
  ['operations', 'DELETE', '/version', 405, { error: 'Method not allowed' }],
]) {
  test(`${surface} answers ${method} ${path} with ${status} in its own words`, async () => {
    const answer = expect(await service.call(method, path, { from: somewhere() }), status, body);
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    if (status === 405) assert.ok(answer.headers.allow.includes('OPTIONS'));
  });
}

test('the hub answers 405 with the one method it means', async () => {
  const answer = await service.call('POST', '/api/csrf',
    { from: somewhere(), headers: { Origin: service.url } });
  expect(answer, 405, dialects.hub(405, 'Method Not Allowed'));
  assert.match(answer.headers.allow, /\bGET\b/);
});

test('what a browser did not mean is refused before the method is, at the hub', async () => {
  for (const headers of [{}, { Origin: 'https://evil.example' }])
    expect(await service.call('POST', '/api/csrf', { from: somewhere(), headers }), 403);
});

test('a query that is no text is a fault of the client\'s', async () => {
  for (const query of ['x=%ff', '%c3=1', 'x=%', 'x=%zz', 'x=%00'])
    expect(await service.call('GET', `/api/setup?${query}`, { from: somewhere() }), 400);
  expect(await service.call('GET', '/api/setup?x=%c3%bc+%25', { from: somewhere() }), 200);
});

test('the Portuguese and German surfaces spell properly', async () => {
  const pt = expect(await service.call('GET', '/api/assinante/nothing', { from: somewhere() }), 404);
  assert.match(pt.text, /não/);
  assert.doesNotMatch(pt.text, /\\u00/);
});

test('problem details come when they are asked for, and only then', async () => {
  const token = await somebody();
  for (const [method, path, status, options] of [
    ['GET', '/api/nothing', 404], ['GET', '/nothing', 404], ['GET', '/api/usage', 401],
    ['DELETE', '/api/usage', 405], ['GET', '/api/admin/clusters', 403, { token }],
    ['POST', '/api/auth/login', 400, { body: {} }], ['GET', '/api/dashboard/x', 404],
  ]) {
    const answer = expect(await service.call(method, path, { from: somewhere(), ...options,
      headers: { Accept: 'application/json;q=0.5, application/problem+json' } }), status);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    const { type, title, detail, instance } = answer.json;
    assert.equal(answer.json.status, status);
    assert.equal(type, 'about:blank');
    assert.ok(title && detail);
    assert.equal(instance, answer.headers['x-request-id']);
  }
  for (const Accept of ['*/*', 'application/json', 'application/problem+json;q=0'])
    assert.equal((await service.call('GET', '/api/nothing', { headers: { Accept } }))
      .headers['content-type'], 'application/json; charset=utf-8', Accept);
});

test('a body too large is 413 in the surface\'s words, and the connection survives the client', async () => {
  const answer = expect(await service.call('POST', '/api/auth/login',
    { body: `{"username":"${'x'.repeat(1_100_000)}"}`, from: somewhere() }), 413);
  assert.equal(answer.json.error.code, 'VALIDATION_ERROR');
  expect(await service.call('POST', '/api/admin/clusters',
    { token: admin, body: 'x'.repeat(1_100_000) }), 413, { error: 'Payload too large' });
});

test('malformed requests are 400 and never 500', async () => {
  for (const body of ['{', '{"a":}', '[1,2', '\u0000', '{"username":"\\ud800"}', Buffer.from([0xff, 0xfe]),
    '['.repeat(2000), '{"a":1e999999}', '123', '']) {
    const answer = await service.call('POST', '/api/auth/login', { body, from: somewhere() });
    assert.equal(answer.status, 400, `${JSON.stringify(String(body)).slice(0, 40)}: ${answer.text}`);
  }
  for (const head of ['GET /api/pricing HTTP/1.1\r\n\r\n',
    'GET /api/pricing HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n', 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /api/setup HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}'])
    assert.match(await wire(head), /^HTTP\/1\.1 400 /, JSON.stringify(head));
  assert.match(await wire('BREW /api/pricing HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1\.1 501 /);
});

// -- text and numbers -------------------------------------------------------------------------------

test('numbers are plain decimals; slashes and non-ASCII stand as they are', async () => {
  const hour = startOfHour() - HOUR;
  const email = 'numbers@example.com';
  const token = await service.token(email);
  await service.project(email, 'alpha', 'numbers', 'Größe/ключ/数 "x" <b>');
  await company.standIn.command('PATCH', '/data',
    { [iso(hour)]: { numbers: { cpuCoreHours: 0.00001, gpuHours: 12345678.12345 } } });
  expect(await service.call('POST', '/api/admin/usage/collect', { token: await somebody('--admin'),
    body: { from: iso(hour), to: iso(hour + HOUR), again: true } }), 200);
  const usage = expect(await service.call('GET', '/api/usage', { token }), 200);
  const billing = expect(await service.call('GET', `/api/billing?month=${iso(hour).slice(0, 7)}`,
    { token }), 200);
  for (const { text } of [usage, billing]) assert.doesNotMatch(text, /[0-9][eE][+-]?[0-9]|\\\/|\\u/);
  assert.match(billing.text, /"gpu_hours":12345678\.12345[,}]/);
  assert.match(billing.text, /"cpu_hours":0\.00001[,}]/);
  const today = iso(hour).slice(0, 10) === iso(Date.now()).slice(0, 10);
  if (today) assert.ok(usage.text.includes('"name":"Größe/ключ/数 \\"x\\" <b>"'), usage.text);
});

// -- rate limits ------------------------------------------------------------------------------------

test('a limited route tells how much is left, in both spellings', async () => {
  const token = await somebody();
  for (let i = 1; i <= 3; ++i) {
    const { headers } = expect(await service.call('GET', '/api/billing', { token }), 200);
    assert.equal(headers['x-ratelimit-limit'], '20');
    assert.equal(headers['x-ratelimit-remaining'], String(20 - i));
    const reset = Number(headers['x-ratelimit-reset']) - Date.now() / 1000;
    assert.ok(reset > 0 && reset <= 62, headers['x-ratelimit-reset']);
    assert.equal(headers['ratelimit-policy'], '"billing";q=20;w=60');
    assert.match(headers.ratelimit, new RegExp(`^"billing";r=${20 - i};t=\\d+$`));
    assert.equal(headers['retry-after'], undefined);
  }
  assert.equal((await service.call('GET', '/healthz')).headers['x-ratelimit-limit'], undefined);
});

test('one call too many is 429 with the time to wait, and counts for that user and class only', async () => {
  const token = await somebody();
  const answers = await Promise.all(Array.from({ length: 25 }, () =>
    service.call('GET', '/api/billing', { token })));
  assert.equal(answers.filter((a) => a.status === 200).length, 20);
  const limited = answers.find((a) => a.status === 429);
  assertCommonHeaders(limited);
  const wait = Number(limited.headers['retry-after']);
  assert.ok(wait >= 1 && wait <= 60);
  assert.equal(limited.headers['x-ratelimit-remaining'], '0');
  assert.deepEqual(limited.json,
    { error: 'Too many requests, please try again later', retryAfter: wait });
  expect(await service.call('GET', '/api/usage', { token }), 200);
  expect(await service.call('GET', '/api/billing', { token: await somebody() }), 200);
});

test('waiting as long as told is enough', async () => {
  const { service: quick, stop } = await startCompany({
    env: { BINNACLE_LIMITS_PLATFORM_BILLING: '2/5s' }, standIn: ['--namespaces', 'analytics'],
  });
  try {
    const token = await quick.token('waiting@example.com');
    const ask = () => quick.call('GET', '/api/billing', { token });
    for (let round = 0; round < 2; ++round) {
      let last;
      do last = await ask(); while (last.status === 200);
      expect(last, 429);
      const told = Date.now() + 1000 * Number(last.headers['retry-after']);
      await new Promise((done) => setTimeout(done, told - Date.now()));
      expect(await ask(), 200);
    }
  } finally {
    await stop();
  }
});

test('the hub\'s 429 has the hub\'s body', async () => {
  const from = somewhere();
  for (let i = 0; i < 30; ++i) expect(await service.call('GET', '/api/csrf', { from }), 200);
  const limited = expect(await service.call('GET', '/api/csrf', { from }), 429);
  const wait = Number(limited.headers['retry-after']);
  assert.deepEqual(limited.json, { error: 'Rate limit exceeded', retryAfter: wait });
});

test('what a client says about its address does not count', async () => {
  const from = somewhere();
  for (let i = 0; i < 10; ++i)
    expect(await service.call('POST', '/api/auth/login',
      { body: {}, from, headers: { 'X-Forwarded-For': `10.0.0.${i}` } }), 400);
  expect(await service.call('POST', '/api/auth/login',
    { body: {}, from, headers: { 'X-Forwarded-For': '10.0.0.99' } }), 429);
});

// -- CSRF -------------------------------------------------------------------------------------------

test('the CSRF token comes as a cookie that scripts can read, and in the body', async () => {
  const answer = expect(await service.call('GET', '/api/csrf', { from: somewhere() }), 200);
  const { value, attributes } = answer.cookies.csrf_token;
  assert.equal(answer.json.csrfToken, value);
  assert.ok(value.length >= 32);
  assert.ok(!attributes.includes('HttpOnly'));
  assert.ok(attributes.includes('SameSite=Lax') && attributes.includes('Path=/'));
  const other = expect(await service.call('GET', '/api/csrf', { from: somewhere() }), 200);
  assert.notEqual(other.json.csrfToken, value);
});

test('a write from another site is refused; our own and the configured ones are not', async () => {
  const token = await somebody('--admin');
  const write = (Origin) => service.call('PUT', '/api/admin/clusters', {
    token, body: { id: 'clu_missing' }, headers: Origin === undefined ? {} : { Origin },
  });
  const { host } = new URL(service.url);
  for (const origin of [undefined, `http://${host}`, `HTTP://${host}`,
    'https://dashboard.example.com', 'https://dashboard.example.com:443', 'http://localhost:3000'])
    expect(await write(origin), 404);
  for (const origin of ['null', 'https://evil.example', `https://${host}`, 'http://localhost',
    'https://dashboard.example.com.evil.example', 'http://dashboard.example.com', '*',
    'https://dashboard.example.com:444'])
    assert.equal((await write(origin)).status, 403, origin);
});

test('who may not at all is told so before the origin is looked at', async () => {
  const headers = { Origin: 'https://evil.example' };
  expect(await service.call('POST', '/api/auth/change-password',
    { body: {}, headers, from: somewhere() }), 401);
  expect(await service.call('PUT', '/api/admin/clusters', { body: {}, headers }), 401);
});

test('reading needs no origin', async () => {
  const token = await somebody();
  expect(await service.call('GET', '/api/usage',
    { token, headers: { Origin: 'https://evil.example' } }), 200);
});

test('a browser logged in by cookie is the one the origin check protects', async () => {
  await service.user('victim', { admin: true });
  const browser = service.browser({ from: somewhere() });
  expect(await browser.call('POST', '/api/auth/login',
    { body: { username: 'victim', password: PASSWORD } }), 200);
  expect(await browser.call('POST', '/api/admin/usage/collect',
    { headers: { Origin: 'https://evil.example' } }), 403);
});

/// GET /r2/{path...} and /r2-ai/{path...}.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { startStandIn } from './r2.mjs';

let plain, cloud, r2, ana;
const large = randomBytes(9_000_000), small = randomBytes(5_000);
const page = Buffer.from('<script>alert(1)</script>');

before(async () => {
  r2 = await startStandIn();
  [plain, cloud] = await Promise.all([startService(), startService({ env: r2.env })]);
  ana = {};
  ana.token = await plain.token('ana@example.com');
  ana.id = subjectOf(ana.token);
  for (const [key, bytes] of [['avatars/small.png', small], ['avatars/large.webp', large],
    ['avatars/page.html', page], ['avatars/empty.png', ''],
    ['ai-images/ai-enhancer/uploads/user/u1/in.png', small],
    [`ai-images/ai-enhancer/results/user/${ana.id}/out.png`, small],
    ['ai-images/ai-video/results/guest/guest-1/out.mp4', small],
    ['ai-images/secret/x.png', small]]) {
    const file = join(plain.data, 'objects', key);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  await r2.put('pictures/small.png', 'image/png', small);
  await r2.put('pictures/large.webp', 'image/webp', large);
  await r2.put('pictures/page.html', 'text/html', page);
  await r2.put('pictures/empty.png', 'image/png', Buffer.alloc(0));
});
after(() => Promise.all([plain?.stop(), cloud?.stop(), r2?.close()]));

const says = (answer, status, text) => {
  expect(answer, status);
  assert.match(answer.headers['content-type'], /^text\/plain/);
  assert.equal(answer.text, text);
};

for (const [where, service] of [['a directory', () => plain], ['R2', () => cloud]]) {
  const get = (path, headers = {}, method = 'GET') => service().call(method, path, { headers });

  test(`objects in ${where} come whole, large ones too, on one connection`, async () => {
    for (let i = 0; i < 3; ++i)
      for (const [name, bytes] of [['large.webp', large], ['small.png', small], ['empty.png', Buffer.alloc(0)]]) {
        const answer = expect(await get(`/r2/${name}`), 200);
        assert.ok(answer.raw.equals(bytes), name);
        assert.equal(answer.headers['content-length'], `${bytes.length}`);
      }
  });

  test(`an object in ${where} is revalidated by its ETag`, async () => {
    const { etag } = expect(await get('/r2/small.png'), 200).headers;
    assert.match(etag, /^"[^"]+"$/);
    const again = expect(await get('/r2/small.png', { 'If-None-Match': etag }), 304);
    assert.equal(again.text, '');
    assert.equal(again.headers.etag, etag);
    assert.equal(again.headers['cache-control'], 'public, max-age=31536000, immutable');
    expect(await get('/r2/small.png', { 'If-None-Match': '"other"' }), 200);
  });

  test(`parts of an object in ${where} can be had`, async () => {
    const { etag } = (await get('/r2/large.webp')).headers;
    for (const [range, from, to] of [['bytes=0-99', 0, 100], ['bytes=8999990-', 8_999_990, 9_000_000],
      ['bytes=-7', 8_999_993, 9_000_000], ['bytes=100-5000000', 100, 5_000_001]]) {
      const part = expect(await get('/r2/large.webp', { Range: range }), 206);
      assert.ok(part.raw.equals(large.subarray(from, to)), range);
      assert.equal(part.headers['content-range'], `bytes ${from}-${to - 1}/9000000`);
    }
    const beyond = await get('/r2/large.webp', { Range: 'bytes=9000000-' });
    says(beyond, 416, 'Range not satisfiable');
    assert.equal(beyond.headers['content-range'], 'bytes */9000000');
    expect(await get('/r2/large.webp', { Range: 'bytes=0-0', 'If-Range': etag }), 206);
    expect(await get('/r2/large.webp', { Range: 'bytes=0-0', 'If-Range': '"old"' }), 200);
    expect(await get('/r2/large.webp', { Range: 'bytes=0-0,2-3' }), 200);
  });

  test(`HEAD of an object in ${where} tells its length`, async () => {
    const head = expect(await get('/r2/large.webp', {}, 'HEAD'), 200);
    assert.equal(head.headers['content-length'], '9000000');
    assert.equal(head.headers['content-type'], 'image/webp');
    assert.equal(head.raw.length, 0);
  });

  test(`what could run scripts comes out of ${where} as a download`, async () => {
    const answer = expect(await get('/r2/page.html'), 200);
    assert.equal(answer.headers['content-type'], 'application/octet-stream');
    assert.equal(answer.headers['content-disposition'], 'attachment');
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  });

  test(`nothing but objects can be had out of ${where}`, async () => {
    for (const path of ['/r2/none.png', '/r2/', '/r2/..%2f..%2fsecrets/vault-key', '/r2/../secrets/vault-key',
      '/r2/%2e%2e/%2e%2e/secrets/vault-key', '/r2/%252e%252e/x', '/r2/small.png%00.html', '/r2/..%5cx',
      '/r2/a//small.png', '/r2/.about/small.png', '/r2/%2fetc/passwd', '/r2/small.png/', '/r2/small.png/x',
      '/r2/sm%C3%A4ll.png', '/r2/%ff', '/r2/%zz', `/r2/${'a'.repeat(600)}`]) {
      const answer = await get(path);
      assert.ok(answer.status === 404 || (answer.status === 400 && path === '/r2/%zz'), `${path}: ${answer.status}`);
      if (path !== '/r2/') says(answer, 404, 'File not found');
    }
    expect(await get('/r2/small.png', {}, 'POST'), 403);
    says(await get('/r2/small.png', { Origin: service().url }, 'POST'), 405, 'Method Not Allowed');
  });
}

test('an R2 that breaks off in the middle is asked again', async () => {
  await r2.put('pictures/cut.png', 'image/png', small);
  await r2.fault({ kind: 'truncate', match: 'cut.png' });
  assert.ok(expect(await cloud.call('GET', '/r2/cut.png'), 200).raw.equals(small));
});

test('who reads slowly gets all of it, and who leaves disturbs nobody', async () => {
  const { port } = new URL(plain.url);
  const bytes = await new Promise((done, failed) => {
    http.get({ port, path: '/r2/large.webp' }, async (response) => {
      const parts = [];
      for await (const part of response) {
        parts.push(part);
        if (parts.length < 30) await new Promise((go) => setTimeout(go, 10));
      }
      done(Buffer.concat(parts));
    }).on('error', failed);
  });
  assert.ok(bytes.equals(large));
  await new Promise((done) => {
    const request = http.get({ port, path: '/r2/large.webp' }, (response) => {
      response.once('data', () => request.destroy());
      response.on('error', () => {});
    }).on('close', done).on('error', () => {});
  });
  expect(await plain.call('GET', '/r2/small.png'), 200);
});

// -- generated images -------------------------------------------------------------------------------

const ai = (path, options) => plain.call('GET', `/r2-ai/${path}`, options);

test('uploads are public, for a quarter of an hour', async () => {
  const answer = expect(await ai('ai-enhancer/uploads/user/u1/in.png'), 200);
  assert.equal(answer.headers['cache-control'], 'public, max-age=900, immutable');
  assert.equal(answer.headers['set-cookie'], undefined);
});

test('other prefixes do not exist', async () => {
  for (const path of ['secret/x.png', 'ai-enhancer', 'ai-video/results', 'ai-video/results/user', 'ai-enhancerx/uploads/a'])
    says(await ai(path), 404, 'Not found');
});

test('results are their owner\'s alone', async () => {
  const path = `ai-enhancer/results/user/${ana.id}/out.png`;
  const answer = expect(await ai(path, { token: ana.token }), 200);
  assert.equal(answer.headers['cache-control'], 'private, max-age=31536000, immutable');
  says(await ai(path), 403, 'Forbidden');
  says(await ai(path, { token: await plain.token('bob@example.com') }), 403, 'Forbidden');
  says(await ai(path, { cookie: `guest_id=${ana.id}` }), 403, 'Forbidden');
  says(await ai(`ai-enhancer/results/user/${ana.id}/none.png`), 403, 'Forbidden');
  says(await ai(`ai-enhancer/results/user/${ana.id}/none.png`, { token: ana.token }), 404, 'File not found');
  says(await ai(`ai-enhancer/results/team/${ana.id}/none.png`, { token: ana.token }), 403, 'Forbidden');
  for (const status of ['suspended', 'deleted', 'active']) {
    plain.sql(`UPDATE users SET status = '${status}' WHERE id = '${ana.id}'`);
    plain.announce(`identity:${ana.id}`);
    await until(`a ${status} owner is answered so`, async () => (await ai(path, { token: ana.token })).status === (status === 'active' ? 200 : 403));
  }
});

test('a guest owns what his cookie names, logged in or not', async () => {
  const path = 'ai-video/results/guest/guest-1/out.mp4';
  expect(await ai(path, { cookie: 'guest_id=guest-1' }), 200);
  expect(await ai(path, { cookie: 'guest_id=guest-1', token: ana.token }), 200);
  says(await ai(path, { cookie: 'guest_id=guest-2' }), 403, 'Forbidden');
  says(await ai('ai-video/results/guest/guest-1/none.mp4', { cookie: 'guest_id=guest-1' }), 404, 'File not found');
});

test('a guest without a cookie is given one', async () => {
  const answer = await ai(`ai-video/results/guest/${randomUUID()}/out.mp4`);
  says(answer, 403, 'Forbidden');
  const { value, attributes } = answer.cookies.guest_id;
  assert.match(value, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(attributes.sort(), ['HttpOnly', 'Max-Age=15552000', 'Path=/', 'SameSite=Lax']);
  assert.equal((await ai('ai-video/results/guest/x/y', { token: ana.token })).cookies.guest_id, undefined);
});

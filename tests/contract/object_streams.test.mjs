/// Large objects in R2 on their way to clients, who may be slow, leave, or ask for a part.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { expect, startService, until } from './harness.mjs';
import { startStandIn } from './r2.mjs';

const MIB = 2 ** 20;
const SIZE = 200 * MIB;
let service, r2;

before(async () => {
  r2 = await startStandIn();
  // One worker: whoever held it would be noticed at once.
  service = await startService({ env: { ...r2.env, BINNACLE_R2_PARALLEL: '1', BINNACLE_R2_STREAMS: '4',
    BINNACLE_HTTP_WRITE_TIMEOUT: '3s' } });
  await r2.generate('pictures/huge.mp4', 'video/mp4', SIZE);
  await r2.put('pictures/small.png', 'image/png', Buffer.alloc(5_000, 'x'));
});
beforeEach(async () => {
  await r2.noFaults();
  await r2.forget();
});
after(() => Promise.all([service?.stop(), r2?.close()]));

/// How much memory the service has of its own, and how much it ever had.
const memory = () => Object.fromEntries(['RssAnon', 'VmHWM'].map((name) =>
  [name, Number(new RegExp(`${name}:\\s+(\\d+) kB`)
    .exec(readFileSync(`/proc/${service.child.pid}/status`, 'utf8'))[1]) * 1024]));

/// Reads an object without keeping it; {status, headers, received, complete}. What stands at which
/// place is checked: each four bytes of it are their number.
function fetchObject(path, headers = {}, agent) {
  const begin = Number(/bytes=(\d+)-/.exec(headers.Range ?? '')?.[1] ?? 0);
  return new Promise((done, failed) => {
    http.get(service.url + path, { headers, agent }, (response) => {
      const { statusCode: status } = response;
      let received = 0;
      response.on('data', (piece) => {
        for (let at = -(begin + received) & 3; at + 4 <= piece.length; at += 4096)
          if (piece.readUInt32LE(at) !== (begin + received + at) / 4)
            failed(new Error(`byte ${begin + received + at} stands at another place`));
        received += piece.length;
      });
      const end = () => done({ status, headers: response.headers, received, complete: response.complete });
      response.on('end', end).on('error', end);
    }).on('error', failed);
  });
}

/// Asks for it and takes nothing but the head.
function idler(path) {
  return new Promise((done, failed) => {
    const socket = net.connect(Number(new URL(service.url).port), '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
    socket.once('error', failed);
    socket.once('data', (head) => {
      socket.pause();
      socket.on('error', () => {});
      done({ socket, status: Number(head.toString('latin1').split(' ')[1]) });
    });
  });
}
const transfers = async () => (await r2.requests()).filter(({ method, url }) => method === 'GET' && url.includes('huge'));

test('an object of any size passes in bounded memory', async () => {
  expect(await service.call('GET', '/r2/small.png'), 200);
  const before = memory();
  const got = await fetchObject('/r2/huge.mp4');
  assert.deepEqual([got.status, got.received, got.complete], [200, SIZE, true]);
  assert.equal(got.headers['content-length'], `${SIZE}`);
  const { VmHWM } = memory();
  assert.ok(VmHWM - before.VmHWM < 16 * MIB, `${(VmHWM - before.VmHWM) / MIB} MiB more`);
  assert.deepEqual((await transfers()).map(({ sent, end }) => [sent, end]), [[SIZE, 'whole']]);
});

test('HEAD and revalidation fetch nothing', async () => {
  const head = expect(await service.call('HEAD', '/r2/huge.mp4'), 200);
  assert.equal(head.headers['content-length'], `${SIZE}`);
  const { etag, 'last-modified': modified } = head.headers;
  for (const headers of [{ 'If-None-Match': etag }, { 'If-Modified-Since': modified }])
    expect(await service.call('GET', '/r2/huge.mp4', { headers }), 304);
  assert.equal((await service.call('GET', '/r2/huge.mp4', { headers: { Range: `bytes=${SIZE}-` } })).status, 416);
  await r2.generate('pictures/unseen.mp4', 'video/mp4', SIZE);
  const unseen = expect(await service.call('HEAD', '/r2/unseen.mp4'), 200);
  expect(await service.call('GET', '/r2/unseen.mp4', { headers: { 'If-None-Match': unseen.headers.etag } }), 304);
  assert.deepEqual(await r2.calls(), ['HEAD 200']);
});

test('of a part, only that is fetched', async () => {
  const part = await fetchObject('/r2/huge.mp4', { Range: 'bytes=100000000-104999999' });
  assert.deepEqual([part.status, part.received, part.complete], [206, 5_000_000, true]);
  assert.equal(part.headers['content-range'], `bytes 100000000-104999999/${SIZE}`);
  assert.deepEqual((await transfers()).map(({ range, sent }) => [range, sent]),
    [['bytes=100000000-104999999', 5_000_000]]);
});

test('an object that has become another one is asked for anew', async () => {
  await r2.generate('pictures/changing.mp4', 'video/mp4', 3 * MIB);
  const old = expect(await service.call('HEAD', '/r2/changing.mp4'), 200);
  await r2.generate('pictures/changing.mp4', 'video/mp4', 5 * MIB);
  const now = await fetchObject('/r2/changing.mp4');
  assert.deepEqual([now.status, now.received, now.complete], [200, 5 * MIB, true]);
  assert.notEqual(now.headers.etag, old.headers.etag);
});

test('who does not read holds neither memory nor a worker, and is cut off in time', async () => {
  const before = memory();
  const idlers = await Promise.all([1, 2, 3, 4].map(() => idler('/r2/huge.mp4')));
  assert.deepEqual(idlers.map(({ status }) => status), [200, 200, 200, 200]);
  await r2.put('pictures/other.png', 'image/png', Buffer.alloc(5_000));
  expect(await service.call('GET', '/r2/other.png'), 200);
  const refused = await service.call('GET', '/r2/huge.mp4');
  assert.equal(refused.status, 503);
  assert.match(refused.headers['content-type'], /^text\/plain/);

  await until('all of them are cut off', async () => (await transfers()).filter(({ end }) => end === 'cut').length >= 4);
  for (const { sent } of (await transfers())) assert.ok(!(sent > SIZE / 4), `${sent} bytes were fetched for nobody`);
  assert.ok(memory().RssAnon - before.RssAnon < 16 * MIB);
  for (const { socket } of idlers) socket.destroy();
});

test('when the client leaves, the upstream may stop', async () => {
  const { socket } = await idler('/r2/huge.mp4');
  socket.destroy();
  await until('the transfer has ended', async () => (await transfers())[0]?.end === 'cut');
});

test('who reads slowly, but does, gets all of it', async () => {
  await r2.generate('pictures/middling.mp4', 'video/mp4', 12 * MIB);
  const response = await new Promise((done) => { http.get(`${service.url}/r2/middling.mp4`, done); });
  let received = 0;
  for await (const piece of response) {
    received += piece.length;
    if (received % MIB < piece.length) await new Promise((go) => setTimeout(go, 300));
  }
  assert.equal(received, 12 * MIB);
});

for (const [what, fault] of [['breaks off', { kind: 'truncate' }], ['falls silent', { kind: 'stall', after: 20 * MIB }]])
  test(`a body that ${what} never looks complete`, async () => {
    await r2.fault({ ...fault, match: 'GET /pictures/huge' });
    const got = await fetchObject('/r2/huge.mp4');
    assert.equal(got.status, 200);
    assert.equal(got.complete, false);
    assert.ok(got.received > MIB && got.received < SIZE, `${got.received}`);
    assert.equal((await fetchObject('/r2/huge.mp4')).received, SIZE);
  });

test('many at once get what is theirs, on connections that are used again', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 3 });
  const wanted = Array.from({ length: 12 }, (_, i) => ({ from: i * 10 * MIB + i, size: 2 * MIB }));
  const got = await Promise.all(wanted.map(({ from, size }) =>
    fetchObject('/r2/huge.mp4', { Range: `bytes=${from}-${from + size - 1}` }, agent)));
  assert.deepEqual(got.map(({ status, received, complete }) => [status, received, complete]),
    wanted.map(({ size }) => [206, size, true]));
  agent.destroy();
});

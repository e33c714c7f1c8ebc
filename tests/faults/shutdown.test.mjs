/// Stopping, politely and not, and starting again on what is left.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { cookieOf, eventually, installation, isAlive, PASSWORD } from './harness.mjs';

/// Keep-alive clients in a thread of their own, so that the test's own timing is not theirs. Each
/// sends requests until its connection is closed by the service, which must be announced.
const CLIENTS = `
const net = require('node:net');
const { parentPort, workerData: { port, clients, request } } = require('node:worker_threads');
const seen = { answered: 0, broken: [], unannounced: 0, refused: 0 };
let left = clients;
const over = () => { if (--left === 0) parentPort.postMessage({ done: seen }); };
for (let i = 0; i < clients; ++i) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  let data = '', pending = 0, lastClose = false, since = Date.now();
  // The service waits a second for a client's next request. One that was kept from sending for so
  // long by a busy machine may find the connection closed.
  let late = false;
  const send = () => {
    late = Date.now() - since > 800;
    pending = 1;
    socket.write(request);
  };
  socket.on('connect', send);
  socket.on('data', (part) => {
    data += part.toString('latin1');
    const end = data.indexOf('\\r\\n\\r\\n');
    if (end < 0) return;
    const head = data.slice(0, end);
    const length = Number(/content-length: (\\d+)/i.exec(head)?.[1] ?? 0);
    if (data.length < end + 4 + length) return;
    if (!/^HTTP\\/1\\.1 200 /.test(head)) seen.broken.push(head.split('\\r\\n')[0]);
    data = data.slice(end + 4 + length);
    pending = 0;
    seen.answered += 1;
    if (seen.answered === clients * 3) parentPort.postMessage({ warm: true });
    lastClose = /connection: close/i.test(head);
    since = Date.now();
    if (!lastClose) setImmediate(send);
  });
  socket.on('error', (error) => {
    if (error.code === 'ECONNREFUSED') seen.refused += 1;
  });
  socket.on('close', () => {
    // A request that was sent and not answered was lost.
    if (late || (!pending && Date.now() - since > 800)) return over();
    if (pending && !seen.refused) seen.broken.push('closed without an answer, after ' + JSON.stringify(data.slice(0, 80)));
    else if (!lastClose) seen.unannounced += 1;
    over();
  });
}`;

function startClients(test, port, clients, request) {
  const worker = new Worker(CLIENTS, { eval: true, workerData: { port, clients, request } });
  test.after(() => worker.terminate());
  const got = {};
  worker.on('message', (message) => Object.assign(got, message));
  return got;
}

const get = (path, headers = {}) => `GET ${path} HTTP/1.1\r\nHost: a\r\n` +
  `${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`;

describe('shutdown', { timeout: 600_000 }, () => {
  const leavesNothing = (home) => eventually('nothing is left running', () =>
    home.processes().length === 0 && home.postmaster === undefined);

  for (const [name, what] of [['cached answers', '/api/usage'], ['the database', '/api/billing']]) {
    it(`SIGTERM under load on ${name}: every request gets a whole answer`, async (test) => {
      const home = installation(test);
      const service = await home.serve();
      const token = await home.token('someone@example.com');
      for (const round of [1, 2]) {
        const node = round === 1 ? service : await home.serve();
        const clients = startClients(test, node.port, 60, get(what, token));
        await eventually('the clients are at work', () => clients.warm);
        const watch = [];
        let open = true;
        const look = (async () => {
          while (open) {
            try { watch.push((await node.call('GET', '/readyz')).status); } catch { watch.push(0); }
          }
        })();
        assert.equal(await node.stop(), 0, node.text);
        open = false;
        await look;
        const { done } = await eventually('the clients have ended', () => clients.done && clients);
        assert.deepEqual(done.broken, []);
        assert.equal(done.unannounced, 0);
        assert.ok(done.answered >= 180);
        // After the first 503 or refusal nothing is ready any more.
        const first = watch.findIndex((status) => status !== 200);
        assert.ok(watch.slice(first).every((status) => status !== 200), watch.join());
        await leavesNothing(home);
      }
    });
  }

  /// No connection is taken any more.
  const isDraining = (service) => eventually('it is stopping', async () => {
    try {
      await service.call('GET', '/healthz');
      return false;
    } catch (error) {
      return error.code === 'ECONNREFUSED';
    }
  });

  it('not ready any more while a slow request is finished, and that is answered', async (test) => {
    const home = installation(test, {
      BINNACLE_HTTP_HEADER_TIMEOUT: '1min', BINNACLE_HTTP_REQUEST_TIMEOUT: '1min',
      BINNACLE_HTTP_DRAIN_TIMEOUT: '1min', BINNACLE_DATABASE_STATEMENT_TIMEOUT: '1min',
    });
    const service = await home.serve();
    const token = await home.token('someone@example.com');
    assert.equal((await service.call('GET', '/api/usage', { headers: token })).status, 200);
    const release = await home.lockUsage();
    const slow = service.call('GET', '/api/usage?x=1', { headers: token });
    await eventually('it waits', () =>
      home.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") !== '0');
    let stopping;
    // Half a request is there before the stop begins, the rest comes afterwards.
    const kept = service.raw([get('/version') + get('/readyz').slice(0, -2), async () => {
      stopping = service.stop();
      await isDraining(service);
    }, get('/readyz').slice(-2)]);
    const { answers, closed } = await kept;
    assert.deepEqual(answers.map((a) => a.status), [200, 503]);
    assert.equal(answers[1].headers.connection, 'close');
    assert.ok(closed);
    release();
    const answer = await slow;
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.connection, 'close');
    assert.equal(await stopping, 0);
    await leavesNothing(home);
  });

  it('cuts off what does not end within the drain timeout', async (test) => {
    const home = installation(test, {
      BINNACLE_HTTP_DRAIN_TIMEOUT: '600ms', BINNACLE_HTTP_BODY_TIMEOUT: '5min', BINNACLE_HTTP_MIN_BODY_RATE: '0',
    });
    const service = await home.serve();
    const hanging = service.raw('POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{');
    await eventually('it is there', async () =>
      /^binnacle_http_connections 2$/m.test((await service.call('GET', '/metrics')).text));
    assert.equal(await service.stop(), 0);
    assert.match(service.text, /^1 connection\(s\) had to be cut off\.$/m);
    assert.ok((await hanging).closed);
    await leavesNothing(home);
  });

  for (const signal of ['SIGTERM', 'SIGINT']) {
    it(`${signal} when idle does not wait for clients that only keep a connection`, async (test) => {
      const home = installation(test);
      const service = await home.serve();
      const idle = Array.from({ length: 5 }, () => service.raw(get('/version'), { within: 300_000 }));
      const silent = Array.from({ length: 5 }, () => service.raw('', { within: 300_000 }));
      await eventually('they are there', async () =>
        Number(/^binnacle_http_connections (\d+)$/m.exec((await service.call('GET', '/metrics')).text)[1]) === 11);
      assert.equal(await service.stop(signal), 0);
      assert.doesNotMatch(service.text, /cut off/);
      assert.ok((await Promise.all([...idle, ...silent])).every((got) => got.closed));
      await leavesNothing(home);
    });
  }

  it('a second start on the same data works, and a second one beside it does not', async (test) => {
    const home = installation(test);
    let service = await home.serve();
    await home.admin(service);
    const login = () => service.call('POST', '/api/auth/login', { body: { username: 'admin', password: PASSWORD } });
    const cookie = cookieOf(await login());
    const beside = await home.run(['serve'], {}, 20_000);
    assert.notEqual(beside.code, 0);
    assert.match(beside.out, /Another binnacle/);
    assert.equal(await service.stop(), 0);
    service = await home.serve();
    assert.equal((await service.call('GET', '/api/auth/me', { headers: { cookie } })).status, 200, 'the login is still good');
    assert.equal((await login()).status, 200);
    assert.equal((await service.call('POST', '/api/setup', { body: { username: 'other', password: PASSWORD } })).status, 400);
    assert.equal(await service.stop(), 0);
    await leavesNothing(home);
  });

  it('after kill -9 of the service the next one takes over PostgreSQL and its data', async (test) => {
    const home = installation(test);
    let service = await home.serve();
    await home.admin(service);
    const { postmaster } = home;
    assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
    assert.ok(isAlive(postmaster), 'PostgreSQL runs on');
    service = await home.serve();
    assert.equal(home.postmaster, postmaster, 'adopted');
    assert.equal((await service.call('POST', '/api/auth/login', { body: { username: 'admin', password: PASSWORD } })).status, 200);
    assert.equal(await service.stop(), 0);
    await leavesNothing(home);
  });

  it('after kill -9 of everything the next one recovers', async (test) => {
    const home = installation(test);
    let service = await home.serve();
    const admin = await home.token('root@example.com', { admin: true });
    const add = (name) => service.call('POST', '/api/admin/clusters', { headers: admin, body: { name, api_url: 'https://127.0.0.1:1' } });
    const acknowledged = [];
    let running = true;
    const work = Promise.all(Array.from({ length: 6 }, async (_, client) => {
      for (let i = 0; running; ++i) {
        try { if ((await add(`${client}-${i}`)).status === 201) acknowledged.push(`${client}-${i}`); } catch { return; }
      }
    }));
    await eventually('writes are acknowledged', () => acknowledged.length > 50);
    const { postmaster } = home;
    process.kill(postmaster, 'SIGKILL');
    service.child.kill('SIGKILL');
    running = false;
    await work;
    await service.ended;
    service = await home.serve();
    assert.notEqual(home.postmaster, postmaster);
    const listed = await service.call('GET', '/api/admin/clusters', { headers: admin });
    const present = new Set(listed.json.clusters.map((c) => c.name));
    assert.deepEqual(acknowledged.filter((name) => !present.has(name)), []);
    assert.equal((await add('afterwards')).status, 201);
    assert.equal(await service.stop(), 0);
    await leavesNothing(home);
  });
});

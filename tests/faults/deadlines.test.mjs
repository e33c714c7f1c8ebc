/// Clients that are slow, idle, too many or deaf.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { eventually, installation } from './harness.mjs';

const HOST = 'Host: localhost\r\n';
const GET = `GET /version HTTP/1.1\r\n${HOST}\r\n`;
const LOGIN = `POST /api/auth/login HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`;

describe('deadlines', { timeout: 600_000 }, () => {
  const cleanups = [];
  const test = { after: (f) => cleanups.push(f) };
  let home, first;

  before(async () => {
    home = installation(test);
    first = await home.serve({
      BINNACLE_HTTP_HEADER_TIMEOUT: '1s', BINNACLE_HTTP_BODY_TIMEOUT: '1500ms', BINNACLE_HTTP_IDLE_TIMEOUT: '1500ms',
    });
  });
  after(async () => { for (const f of cleanups.reverse()) await f(); });

  /// Another node on the same database, with its own settings.
  const node = (env) => home.serve({ DATABASE_URL: home.url, ...env });
  const patient = (got, least) => assert.ok(got.ms >= least, `after ${got.ms} ms already`);
  const statuses = (got) => got.answers.map((a) => a.status);

  it('gives a header that trickles in 408 and closes', async () => {
    const got = await first.raw([...GET.repeat(5)], { pause: 60 });
    assert.deepEqual(statuses(got), [408]);
    assert.equal(got.answers[0].headers.connection, 'close');
    assert.ok(got.closed);
    patient(got, 950);
  });

  it('gives a header that stops half-way 408, also the second one of a connection', async () => {
    const got = await first.raw(GET + GET.slice(0, 20));
    assert.deepEqual(statuses(got), [200, 408]);
    assert.ok(got.closed);
    patient(got, 950);
  });

  it('closes a connection that never says a word, without an answer', async () => {
    const got = await first.raw('');
    assert.equal(got.text, '');
    assert.ok(got.closed);
    patient(got, 950);
  });

  it('closes an idle connection after a request, without another answer', async () => {
    const got = await first.raw(GET);
    assert.deepEqual(statuses(got), [200]);
    assert.ok(got.closed);
    patient(got, 1_450);
  });

  it('does not count a client that is only slow between requests as idle', async () => {
    // On a busy machine a pause may be longer than it should: then the client was idle after all.
    await eventually('four answers', async () => {
      const got = await first.raw([GET, 600, GET, 600, GET, 600, GET], { until: (a) => a.length === 4 });
      return statuses(got).join() === '200,200,200,200';
    });
  });

  it('gives a body that does not arrive 408', async () => {
    for (const bytes of [`${LOGIN}Content-Length: 100\r\n\r\n{`, `${LOGIN}Transfer-Encoding: chunked\r\n\r\n5\r\nhe`,
      `${LOGIN}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n`]) {
      const got = await first.raw(bytes);
      assert.deepEqual(statuses(got).filter((s) => s >= 200), [408]);
      assert.ok(got.closed);
      patient(got, 1_450);
    }
  });

  it('gives a body that trickles in 408, whatever its length', async () => {
    const got = await first.raw([`${LOGIN}Content-Length: 10000\r\n\r\n`, ...'x'.repeat(200)], { pause: 50 });
    assert.deepEqual(statuses(got), [408]);
    patient(got, 1_450);
  });

  it('gives up on a body below the minimum rate', async () => {
    const slow = await node({ BINNACLE_HTTP_MIN_BODY_RATE: '2000', BINNACLE_HTTP_BODY_TIMEOUT: '1min' });
    const send = (bytes, more) => slow.raw([`${LOGIN}Content-Length: 1000000\r\n\r\n`,
      ...Array.from({ length: 90 }, () => 'x'.repeat(bytes))], { pause: 80, ...more });
    const [below, above] = await Promise.all([send(40), send(9_000, { within: 8_000 })]); // 500 and 112,500 bytes a second
    assert.deepEqual(statuses(below), [408]);
    assert.ok(below.closed);
    patient(below, 4_800); // after the first 5 s
    assert.deepEqual(statuses(above), []);
    assert.equal(await slow.stop(), 0);
  });

  it('gives an answer when a handler takes too long, and stays well', async () => {
    const hasty = await node({ BINNACLE_HTTP_REQUEST_TIMEOUT: '600ms', BINNACLE_CACHE_ENABLED: 'false' });
    const admin = await home.token('root@example.com', { admin: true });
    const works = async () => (await hasty.call('GET', '/api/usage', { headers: admin })).status === 200;
    await eventually('it works', works);
    const release = await home.lockUsage();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) =>
      hasty.call('GET', `/api/usage?n=${i}`, { headers: admin })));
    for (const answer of answers) {
      assert.ok([503, 504].includes(answer.status), answer.text); // as the surface's dialect has it
      assert.ok(answer.json.error);
    }
    assert.equal((await hasty.call('GET', '/healthz')).status, 200);
    release();
    await eventually('the late ones are over', works);
    assert.equal(await hasty.stop(), 0);
  });

  it('serves at most max_in_flight requests of one user at once', async () => {
    const few = await node({
      BINNACLE_SESSION_MAX_IN_FLIGHT: '3', BINNACLE_DATABASE_STATEMENT_TIMEOUT: '5min', BINNACLE_HTTP_REQUEST_TIMEOUT: '5min',
    });
    const admin = await home.token('root@example.com', { admin: true });
    const usage = (n) => few.call('GET', `/api/usage?n=${n}`, { headers: admin });
    assert.equal((await usage('first')).status, 200);
    const release = await home.lockUsage();
    const refused = [];
    const asked = Array.from({ length: 10 }, async (_, i) => {
      const answer = await usage(i);
      if (answer.status !== 200) refused.push(answer);
      return answer.status;
    });
    await eventually('all others are refused', () => refused.length >= 7);
    assert.ok(refused.every((a) => a.status === 503 && Number(a.headers['retry-after']) >= 1 && a.json.error));
    release();
    const all = await Promise.all(asked);
    assert.equal(all.filter((status) => status === 200).length, 3, all.join());
    assert.equal((await usage('last')).status, 200);
    assert.equal(await few.stop(), 0);
  });

  it('hangs up on a client that does not read its answers', async () => {
    const strict = await node({ BINNACLE_HTTP_WRITE_TIMEOUT: '2s', BINNACLE_HTTP_IDLE_TIMEOUT: '1min' });
    const socket = net.connect({ port: strict.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    await new Promise((done) => socket.once('connect', done));
    socket.pause();
    const many = `GET /metrics HTTP/1.1\r\n${HOST}\r\n`.repeat(20_000);
    socket.write(many);
    const open = async () => Number(/^binnacle_http_connections (\d+)/m.exec(
      (await strict.call('GET', '/metrics')).text)[1]);
    assert.ok(await open() >= 2);
    await eventually('only the one that asks is left', async () => (await open()) === 1, { every: 200 });
    socket.destroy();
    assert.equal(await strict.stop(), 0);
  });

  it('caps connections in total, and takes new ones when old ones go', async () => {
    const capped = await node({ BINNACLE_HTTP_MAX_CONNECTIONS: '5' });
    await caps(capped, 5, (i) => `127.0.1.${i + 1}`, '127.0.2.1');
    assert.equal(await capped.stop(), 0);
  });

  it('caps connections per address, and leaves others alone', async () => {
    const capped = await node({ BINNACLE_HTTP_MAX_CONNECTIONS_PER_ADDRESS: '4' });
    const other = await caps(capped, 4, () => '127.0.3.1', '127.0.3.1', '127.0.3.2');
    assert.deepEqual(statuses(other), [200]);
    assert.equal(await capped.stop(), 0);
  });

  async function caps(capped, most, address, over, neighbour) {
    const one = { until: (a) => a.length === 1 };
    // No connection of ours may linger from the start.
    await eventually('no connection is open', async () => {
      const got = await capped.raw(`GET /metrics HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, { from: '127.0.9.9' });
      return /^binnacle_http_connections 1$/m.test(got.text);
    });
    const sockets = await Promise.all(Array.from({ length: most }, (_, i) => new Promise((done, failed) => {
      const socket = net.connect({ port: capped.port, host: '127.0.0.1', localAddress: address(i) });
      socket.on('error', failed);
      socket.write(GET);
      socket.once('data', () => done(socket));
    })));
    const refused = await capped.raw(GET, { from: over });
    assert.deepEqual(statuses(refused), [503], refused.text);
    assert.ok(Number(refused.answers[0].headers['retry-after']) >= 1);
    assert.ok(refused.closed);
    const other = neighbour && await capped.raw(GET, { ...one, from: neighbour });
    for (const socket of sockets) socket.destroy();
    await eventually('a place is free', async () =>
      statuses(await capped.raw(GET, { ...one, from: over }))[0] === 200);
    return other;
  }
});

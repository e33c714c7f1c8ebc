/// What a session knows: budgets that outlive it, credentials that end at once, answers that are
/// never stale; on one node and on two.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { PASSWORD, addCluster, call, cookieOf, eventually, installation, openCost } from './harness.mjs';

const LOGIN = '/api/auth/login';

/// An administrator, and a login that is always refused.
async function stage(test, env) {
  const home = installation(test, env);
  const service = await home.serve();
  await home.admin(service);
  return { home, service };
}
const logIn = (service, password = PASSWORD, more = {}) =>
  call({ port: service.port, method: 'POST', path: LOGIN, body: JSON.stringify({ username: 'admin', password }),
    headers: { 'content-type': 'application/json' }, agent: false, within: 60_000, ...more });
const me = (service, cookie) => service.call('GET', '/api/auth/me', { headers: { cookie } });

describe('login budget', { timeout: 600_000 }, () => {
  const cleanups = [];
  let home, service;
  before(async () => {
    ({ home, service } = await stage({ after: (f) => cleanups.push(f) }, {
      BINNACLE_RATE_LIMIT_SCALE: '1', BINNACLE_SESSION_IDLE: '1s', BINNACLE_LIMITS_GATEWAY_LOGIN: '4/300s',
      BINNACLE_LIMITS_PLATFORM_DEFAULT: '100000/60s', BINNACLE_LIMITS_LOGIN_FAILURES: '1000/300s',
    }));
  });
  after(() => cleanups.forEach((f) => f()));

  /// Spends attempts of an address; the budget that is left.
  async function spend(attempts, address) {
    let answer;
    for (let i = 0; i < attempts; ++i) {
      answer = await logIn(service, 'wrong password', { localAddress: address });
      assert.equal(answer.status, 401, answer.text);
    }
    return Number(answer.headers['x-ratelimit-remaining']);
  }
  async function isSpent(address) {
    const answer = await logIn(service, 'wrong password', { localAddress: address });
    assert.equal(answer.status, 429, answer.text);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
  }
  const saved = (address) => eventually('the window is saved', () =>
    home.sql(`SELECT state FROM rate_windows WHERE key LIKE '%${address}%'`) !== '', { every: 100 });

  it('survives a graceful restart', async () => {
    assert.equal(await spend(3, '127.0.0.31'), 1);
    assert.equal(await service.stop(), 0);
    service = await home.serve();
    assert.equal(await spend(1, '127.0.0.31'), 0);
    await isSpent('127.0.0.31');
  });

  it('survives passivation', async () => {
    assert.equal(await spend(4, '127.0.0.32'), 0);
    const sessions = async () => Number(/^binnacle_sessions (\d+)/m.exec((await service.call('GET', '/metrics')).text)[1]);
    // The sweep takes 32 s to look at everybody once, so for a while we look in ourselves.
    await eventually('every session is passivated', async () => (await sessions()) === 0, { within: 120_000, every: 200 });
    await isSpent('127.0.0.32');
  });

  it('survives kill -9 once it is saved', async () => {
    assert.equal(await spend(4, '127.0.0.33'), 0);
    await saved('127.0.0.33');
    await service.stop('SIGKILL');
    service = await home.serve();
    await isSpent('127.0.0.33');
    assert.equal(await spend(1, '127.0.0.34'), 3, 'others keep theirs');
  });
});

describe('sessions', { timeout: 600_000 }, () => {
  const cleanups = [];
  const test = { after: (f) => cleanups.push(f) };
  let home, service, second;
  before(async () => {
    ({ home, service } = await stage(test, {}));
    second = await home.serve({ DATABASE_URL: home.url });
  });
  after(async () => { for (const f of cleanups.reverse()) await f(); });

  it('knows a new login at once, here and on the other node', async () => {
    for (let i = 0; i < 10; ++i) {
      const cookie = cookieOf(await logIn(i % 2 ? second : service));
      for (const node of [service, second]) {
        const answer = await me(node, cookie);
        assert.equal(answer.status, 200, `login ${i}: ${answer.text}`);
      }
    }
  });

  it('knows a new login where the notice of it is late', async () => {
    const old = cookieOf(await logIn(second));
    for (const node of [service, second]) assert.equal((await me(node, old)).status, 200);
    const listeners = home.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'binnacle listener'").split('\n').map(Number);
    assert.equal(listeners.length, 2);
    for (const pid of listeners) process.kill(pid, 'SIGSTOP');
    try {
      const cookie = cookieOf(await logIn(service));
      for (const node of [service, second]) {
        assert.equal((await me(node, cookie)).status, 200);
        assert.equal((await me(node, old)).status, 200);
      }
    } finally {
      for (const pid of listeners) process.kill(pid, 'SIGCONT');
    }
  });

  it('ends a login at once where it is ended', async () => {
    for (let i = 0; i < 8; ++i) {
      const cookie = cookieOf(await logIn(service));
      assert.equal((await me(service, cookie)).status, 200);
      assert.equal((await service.call('POST', '/api/auth/logout', { headers: { cookie } })).status, 200);
      assert.equal((await me(service, cookie)).status, 401, `logout ${i}`);
    }
  });

  it('ends a login on the other node within a moment', async () => {
    const cookie = cookieOf(await logIn(service));
    assert.equal((await me(second, cookie)).status, 200);
    await service.call('POST', '/api/auth/logout', { headers: { cookie } });
    await eventually('the other node knows', async () => (await me(second, cookie)).status === 401);
  });

  it('ends every login when the password changes, here at once and there within a moment', async () => {
    const mine = cookieOf(await logIn(service));
    const other = cookieOf(await logIn(second));
    const token = await home.token('root@example.com', { admin: true });
    for (const node of [service, second]) for (const cookie of [mine, other]) assert.equal((await me(node, cookie)).status, 200);
    const change = (currentPassword, newPassword, cookie) => service.call('POST', '/api/auth/change-password',
      { headers: { cookie }, body: { currentPassword, newPassword } });
    const changed = await change(PASSWORD, `${PASSWORD}!`, mine);
    assert.equal(changed.status, 200, changed.text);
    assert.equal((await me(service, mine)).status, 401);
    assert.equal((await me(service, other)).status, 401);
    await eventually('the other node knows', async () =>
      (await me(second, mine)).status === 401 && (await me(second, other)).status === 401);
    assert.equal((await service.call('GET', '/api/usage', { headers: token })).status, 200, 'another user is not concerned');
    assert.equal((await logIn(second)).status, 401);
    const again = cookieOf(await logIn(second, `${PASSWORD}!`));
    assert.equal((await change(`${PASSWORD}!`, PASSWORD, again)).status, 200);
  });

  it('ends the oldest login when there are too many, on both nodes', async () => {
    const oldest = cookieOf(await logIn(service));
    for (const node of [service, second]) assert.equal((await me(node, oldest)).status, 200);
    home.sql("DELETE FROM sessions WHERE created_at < (SELECT max(created_at) FROM sessions)");
    const cookies = [];
    for (let i = 0; i < 99; ++i) cookies.push(cookieOf(await logIn(i % 2 ? second : service)));
    for (const node of [service, second]) assert.equal((await me(node, oldest)).status, 200, 'a hundred are fine');
    cookies.push(cookieOf(await logIn(service)));
    await eventually('both nodes know', async () =>
      (await me(service, oldest)).status === 401 && (await me(second, oldest)).status === 401);
    for (const cookie of [cookies[0], cookies.at(-1)])
      for (const node of [service, second]) assert.equal((await me(node, cookie)).status, 200);
  });

  it('a kept connection does not keep a credential', async () => {
    const cookie = cookieOf(await logIn(service));
    const request = `GET /api/auth/me HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`;
    const out = `POST /api/auth/logout HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\nContent-Length: 0\r\n\r\n`;
    const anonymous = 'GET /api/auth/me HTTP/1.1\r\nHost: a\r\n\r\n';
    const got = await service.raw(request + request + anonymous + request + out + request, { until: (a) => a.length === 6 });
    assert.deepEqual(got.answers.map((a) => a.status), [200, 200, 401, 200, 200, 401]);
  });

  it('suspends a user within a moment, on both nodes', async () => {
    const token = await home.token('gone@example.com');
    const usage = (node) => node.call('GET', '/api/usage', { headers: token });
    for (const node of [service, second]) assert.equal((await usage(node)).status, 200);
    home.sql("UPDATE users SET status = 'suspended' WHERE email = 'gone@example.com'; " +
      "SELECT pg_notify('binnacle_changes', 'identity:' || id) FROM users WHERE email = 'gone@example.com'");
    await eventually('both nodes know', async () =>
      (await usage(service)).status === 403 && (await usage(second)).status === 403);
  });

  it('shows booked usage at once where it was collected, and soon on the other node', async () => {
    const server = await openCost(test, home, { namespaces: ['analytics'] });
    const admin = await home.token('root@example.com', { admin: true });
    await addCluster(service, admin, server);
    const user = await home.token('user@example.com');
    const given = await home.run(['project', '--email', 'user@example.com', '--cluster', 'alpha', '--namespace', 'analytics']);
    assert.equal(given.code, 0, given.out);
    const usage = async (node) => (await node.call('GET', '/api/usage', { headers: user }));
    const before = await Promise.all([usage(service), usage(second)]);
    assert.deepEqual(before.map((a) => a.json.cpuHours), [0, 0]);
    await Promise.all([usage(service), usage(second)]); // now from the cache
    const now = new Date();
    now.setUTCMinutes(0, 0, 0);
    const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
    const from = new Date(Math.max(month.getTime(), now.getTime() - 3 * 3_600_000));
    const collected = await service.call('POST', '/api/admin/usage/collect', { headers: admin,
      body: from < now ? { from: from.toISOString(), to: now.toISOString() } : {} });
    assert.equal(collected.status, 200, collected.text);
    assert.ok((await usage(service)).json.cpuHours > 0, 'this node shows it');
    await eventually('the other node shows it', async () => (await usage(second)).json.cpuHours > 0);
    assert.equal((await usage(service)).text, (await usage(second)).text);
    const etag = (await usage(service)).headers.etag;
    const same = await second.call('GET', '/api/usage', { headers: { ...user, 'if-none-match': etag } });
    assert.equal(same.status, 304);
  });

  it('stays well when clients leave in the middle', async () => {
    const token = await home.token('root@example.com');
    const request = `GET /api/usage?x=${'y'.repeat(500)} HTTP/1.1\r\nHost: a\r\nAuthorization: ${token.authorization}\r\n\r\n`;
    const login = `POST ${LOGIN} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n`;
    const body = JSON.stringify({ username: 'admin', password: 'wrong passwor' }).padEnd(48);
    for (let round = 0; round < 10; ++round) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => new Promise((done) => {
        const socket = net.connect({ port: service.port, host: '127.0.0.1' });
        socket.on('error', () => {});
        socket.on('close', done);
        const bytes = i === 0 ? login + body : request.repeat(5);
        socket.write(i % 4 === 3 ? bytes.slice(0, 300) : bytes, () =>
          setTimeout(() => (i % 2 ? socket.destroy() : socket.resetAndDestroy()), i % 5));
      })));
    }
    await eventually('all connections are gone', async () =>
      /^binnacle_http_connections 1$/m.test((await service.call('GET', '/metrics')).text));
    assert.equal((await service.call('GET', '/api/usage', { headers: token })).status, 200);
    assert.equal((await logIn(service)).status, 200);
  });

  it('both nodes stop cleanly', async () => {
    assert.equal(await second.stop(), 0);
    assert.equal(await service.stop(), 0);
    assert.deepEqual(home.processes(), []);
  });
});

import assert from 'node:assert/strict';
import { verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PASSWORD, call, expect, startCompany, startService, until } from './harness.mjs';

let company, service;

/// Ended; perhaps init has not collected it yet.
function isGone(pid) {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}
before(async () => {
  company = await startCompany({ standIn: ['--namespaces', 'analytics'] });
  ({ service } = company);
});
after(() => company?.stop());

test('the service is alive and ready', async () => {
  expect(await service.call('GET', '/healthz'), 200, { status: 'ok' });
  expect(await service.call('GET', '/readyz'), 200, { status: 'ready' });
});

test('the version is the command line\'s', async () => {
  const { name, version } = expect(await service.call('GET', '/version'), 200).json;
  assert.equal(name, 'binnacle');
  assert.equal(await service.good(['version']), `binnacle ${version}`);
});

test('HEAD is answered without a body, other methods are not allowed', async () => {
  for (const path of ['/healthz', '/readyz', '/version', '/metrics', '/.well-known/jwks.json']) {
    const head = expect(await service.call('HEAD', path), 200);
    assert.equal(head.raw.length, 0);
    assert.ok(Number(head.headers['content-length']) > 0, path);
    const answer = expect(await service.call('POST', path), 405, { error: 'Method not allowed' });
    assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
  }
});

test('the published key verifies the tokens', async () => {
  const answer = expect(await service.call('GET', '/.well-known/jwks.json'), 200);
  assert.match(answer.headers['cache-control'], /max-age=\d+/);
  const [key, ...others] = answer.json.keys;
  assert.deepEqual(others, []);
  assert.deepEqual([key.kty, key.use, key.alg], ['RSA', 'sig', 'RS256']);
  for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi']) assert.ok(!(secret in key), secret);
  const [head, claims, signature] = company.admin.split('.');
  assert.equal(JSON.parse(Buffer.from(head, 'base64url')).kid, key.kid);
  assert.ok(verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), { key, format: 'jwk' },
    Buffer.from(signature, 'base64url')));
});

test('the metrics speak Prometheus and count what happened', async () => {
  expect(await service.call('GET', '/api/usage', { token: company.admin }), 200);
  expect(await service.call('GET', '/api/usage', { token: company.admin }), 200);
  expect(await service.call('POST', '/api/admin/usage/collect', { token: company.admin }), 200);
  for (let i = 0; i < 11; ++i)
    await service.call('POST', '/api/auth/login', { body: {}, from: '127.8.0.1' });
  const answer = expect(await service.call('GET', '/metrics'), 200);
  assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  for (const wanted of [
    /^binnacle_http_requests_total\{.*route="\/api\/usage".*status="200".*\} [2-9]/m,
    /^binnacle_http_request_seconds_bucket\{.*le="\+Inf".*\} \d+/m,
    /^binnacle_sessions \d+/m,
    /^binnacle_cache_lookups_total\{result="hit"\} [1-9]/m,
    /^binnacle_cache_lookups_total\{result="miss"\} [1-9]/m,
/^binnacle_rate_limited_total\{class="gateway_login"\} 1$/m,
    /^binnacle_upstream_calls_total\{.*outcome="success".*upstream="opencost".*\} [1-9]/m,
    /^binnacle_collector_runs_total\{outcome="success"\} [1-9]/m,
    /^binnacle_collector_hours_total [1-9]/m,
    /^binnacle_collector_lag_seconds /m,
    /^binnacle_pool_queue\{pool="storage"\} \d+/m,
    /^binnacle_pool_busy_workers\{pool="storage"\} \d+/m,
  ]) assert.ok(wanted.test(answer.text), `no line is like ${wanted}`);
});

test('a request is counted under its own method and the path of its route', async () => {
  const counted = async (path, method, status) => {
    const { text } = await service.call('GET', '/metrics');
    const line = text.split('\n').find((l) => l.startsWith('binnacle_http_requests_total{') &&
      [`route="${path}"`, `method="${method}"`, `status="${status}"`].every((label) => l.includes(label)));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  for (const [method, path, status, route = path] of [
    ['DELETE', '/api/usage', 405], ['HEAD', '/api/pricing', 200], ['OPTIONS', '/api/pricing', 204],
    ['GET', '/healthz', 200], ['HEAD', '/readyz', 200], ['POST', '/version', 405],
    ['GET', '/no/such/thing', 404, 'none'], ['GET', '/api/admin/usage/x', 401, '/api/admin/usage/{userId}'],
  ]) {
    const before = await counted(route, method, status);
    expect(await service.call(method, path), status);
    assert.equal(await counted(route, method, status), before + 1, `${method} ${path}`);
  }
  assert.doesNotMatch((await service.call('GET', '/metrics')).text, /no\/such/);
});

test('the metrics show how deep the mailboxes are', async () => {
  const { text } = await service.call('GET', '/metrics');
  assert.ok(/^binnacle_\w*mailbox\w*/m.test(text), 'no metric of mailboxes');
});

test('the access log has a line of JSON for every request, and no secret', async () => {
  await service.user('logger', { email: 'logger@example.com' });
  const login = expect(await service.call('POST', '/api/auth/login', {
    body: { username: 'logger', password: PASSWORD }, headers: { 'X-Request-Id': 'find-me-again' },
  }), 200);
  const { value } = login.cookies.session;
  expect(await service.call('GET', '/api/auth/me?token=in-the-query',
    { cookie: `session=${value}` }), 200);
  const read = () => readFileSync(join(service.directory, 'access.log'), 'utf8');
  const text = await until('it is written', () => {
    const now = read();
    return now.includes('find-me-again') && now.includes('/api/auth/me') && now;
  });
  const lines = text.trim().split('\n').map((line) => JSON.parse(line));
  const line = lines.find((l) => l.request_id === 'find-me-again');
  assert.deepEqual([line.method, line.path, line.status], ['POST', '/api/auth/login', 200]);
  assert.ok(line.us >= 0 && line.bytes > 0 && line.client === '127.0.0.1');
  assert.ok(lines.some((l) => l.path === '/api/auth/me' && l.user?.startsWith('usr_')));
  for (const secret of [PASSWORD, value, company.admin, 'in-the-query'])
    assert.ok(!text.includes(secret) && !service.output.includes(secret), secret);
});

test('a stop answers what is in flight, leaves nothing running and ends with 0', async () => {
  const other = await startService();
  const [postmaster] = readFileSync(
    join(other.data, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n');
  await other.user('busy');
  const inFlight = Array.from({ length: 8 }, (_, i) =>
    call(other.url, 'POST', '/api/auth/login',
      { body: { username: 'busy', password: PASSWORD }, from: `127.9.0.${i + 1}` }));
  await until('they have arrived', async () =>
    /binnacle_http_requests_total\{.*login.*\} \d/.test(
      (await other.call('GET', '/metrics')).text));
  const ended = other.stop();
  for (const answer of await Promise.all(inFlight)) expect(answer, 200);
  assert.equal((await ended).code, 0);
  assert.match(other.output, /Stopped\./);
  assert.ok(isGone(postmaster), 'PostgreSQL runs still');
});

test('Ctrl-C stops it like SIGTERM does', async () => {
  const other = await startService();
  assert.equal((await other.stop('SIGINT')).code, 0);
});

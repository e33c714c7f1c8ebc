import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, describe } from 'node:test';
import { expectedTotals } from './opencost.mjs';
import { COMPUTE, dataOf, hours, request, started, temporaryDirectory } from './lib/testing.mjs';
import { HOUR, iso, parseTime } from './lib/time.mjs';
import { toDecimal, toUnits } from './lib/units.mjs';

const FIXTURE = new URL('./fixtures/allocation.json', import.meta.url);
const TEN = '2026-01-15T10:00:00Z';
const pki = (server, name) => readFileSync(join(server.state, 'pki', name));

describe('the Kubernetes API', () => {
  it('lets the bearer token in and refuses others with a Status', async (test) => {
    const server = await started(test);

    assert.equal((await server.compute(hours('10', '11'))).status, 200);
    for (const token of ['wrong', null, `${server.token}x`]) {
      const answer = await server.compute(hours('10', '11'), { token });
      assert.equal(answer.status, 401);
      assert.equal(JSON.parse(answer.body).kind, 'Status');
      assert.equal(JSON.parse(answer.body).reason, 'Unauthorized');
    }
  });

  it('lets a client certificate of its own CA in', async (test) => {
    const server = await started(test);
    const stranger = await started(test);
    const as = (owner) => server.compute(hours('10', '11'), {
      token: null, cert: pki(owner, 'client.crt'), key: pki(owner, 'client.key'),
    });

    assert.equal((await as(server)).status, 200);
    assert.equal((await as(stranger)).status, 401);
  });

  it('presents a certificate that only its own CA vouches for', async (test) => {
    const server = await started(test);
    const stranger = await started(test);

    await assert.rejects(server.get('/version', { ca: undefined }), /certificate/);
    await assert.rejects(server.get('/version', { ca: pki(stranger, 'ca.crt') }), /certificate/);
    const named = server.url.replace('127.0.0.1', 'localhost');
    assert.equal((await request(`${named}/version`, { ca: pki(server, 'ca.crt') })).status, 200);
  });

  it('tells its version to anybody but a bearer of a wrong token', async (test) => {
    const server = await started(test);

    const anonymous = await server.get('/version', { token: null });
    assert.match(JSON.parse(anonymous.body).gitVersion, /^v1\./);
    assert.equal((await server.get('/version', { token: 'wrong' })).status, 401);
  });

  it('answers unknown paths and methods with a Status', async (test) => {
    const server = await started(test);
    const status = async (path, options) => {
      const answer = await server.get(path, options);
      assert.equal(JSON.parse(answer.body).code, answer.status);
      return answer.status;
    };

    assert.equal(await status('/api/v1/pods'), 404);
    assert.equal(await status('//'), 404);
    assert.equal(await status(COMPUTE.replace('opencost:9003', 'grafana:3000')), 404);
    assert.equal(await status(COMPUTE.replace('opencost:9003', '%zz')), 404);
    assert.equal(await status(COMPUTE.replace('9003', '9090')), 503);
    assert.equal(await status(COMPUTE, { method: 'POST' }), 405);
    assert.equal(
      (await server.get(`${COMPUTE.replace(':', '%3A')}?${hours('10', '11')}`)).status, 200);
  });

  it('keeps token, certificates and ports over a restart', async (test) => {
    const state = temporaryDirectory(test);
    const first = await started(test, { state });
    const ca = pki(first, 'ca.crt').toString();
    const ports = {
      port: Number(new URL(first.url).port), controlPort: Number(new URL(first.control).port),
    };
    await first.close();

    const second = await started(test, { state, ...ports });

    assert.deepEqual([second.url, second.control], [first.url, first.control]);
    assert.equal(second.token, first.token);
    assert.equal(pki(second, 'ca.crt').toString(), ca);
  });

  it('writes kubeconfigs that hold what a client needs', async (test) => {
    const server = await started(test);
    const value = (text, key) => new RegExp(`^ +${key}: (.*)$`, 'm').exec(text)[1];
    const data = (text, key) => Buffer.from(value(text, key), 'base64').toString();

    const byToken = readFileSync(server.kubeconfig, 'utf8');
    assert.equal(value(byToken, 'server'), server.url);
    assert.equal(JSON.parse(value(byToken, 'token')), server.token);

    const byCertificate = readFileSync(join(server.state, 'kubeconfig-cert.yaml'), 'utf8');
    const answer = await request(`${server.url}${COMPUTE}?${hours('10', '11')}`, {
      ca: data(byCertificate, 'certificate-authority-data'),
      cert: data(byCertificate, 'client-certificate-data'),
      key: data(byCertificate, 'client-key-data'),
    });
    assert.equal(answer.status, 200);
  });
});

describe('the query', () => {
  it('is refused in plain text when a parameter is unknown, missing, double, bad', async (test) => {
    const server = await started(test);
    const good = hours('10', '11');
    const window = (text) => `window=${text}&aggregate=namespace`;

    for (const [query, text] of [
      ['aggregate=namespace', /^Invalid 'window' parameter: illegal window: $/m],
      [window('1h'), /^Invalid 'window' parameter: illegal window: 1h$/m],
      [window(`${TEN},${TEN}`), /^Invalid 'window'/],
      [window(`${TEN},2026-01-15T09:00:00Z`), /^Invalid 'window'/],
      [window(`${TEN},2026-01-15T11:00:00%2B01:00`), /^Invalid 'window'/],
      [window(`${TEN},2026-02-30T11:00:00Z`), /^Invalid 'window'/],
      [window(`${TEN},2036-01-15T11:00:00Z`), /^Invalid 'window'/],
      [good.replace('namespace', 'pod'), /^Invalid 'aggregate'/],
      [good.replace('&aggregate=namespace', ''), /^Invalid 'aggregate'/],
      [`${good}&accumulate=yes`, /^Invalid 'accumulate'/],
      [`${good}&step=0h`, /^Invalid 'step'/],
      [`${good}&shareIdle=true`, /^Invalid 'shareIdle'/],
      [`${good}&aggregat=namespace`, /^Unknown 'aggregat' parameter/],
      [`${good}&aggregate=namespace`, /^Duplicate 'aggregate' parameter/],
    ]) {
      const answer = await server.compute(query);
      assert.equal(answer.status, 400, query);
      assert.match(answer.headers['content-type'], /^text\/plain/);
      assert.match(answer.body, text);
    }
  });

  it('gives one set for the window, or one per step, or one accumulated', async (test) => {
    const server = await started(test);
    const sets = async (more) => dataOf(await server.compute(hours('10', '13', more)));

    const [whole] = await sets('&accumulate=false');
    const steps = await sets('&step=1h');
    const [accumulated] = await sets('&step=1h&accumulate=true');

    assert.deepEqual(steps.map((set) => set.analytics.window.start), [10, 11, 12].map(
      (hour) => `2026-01-15T${hour}:00:00Z`));
    assert.deepEqual(accumulated, whole);
    const sum = steps.reduce((total, set) => total + toUnits(set.analytics.cpuCoreHours), 0n);
    assert.equal(toUnits(whole.analytics.cpuCoreHours), sum);
  });

  it('does not cut the last step at the end of the window, as OpenCost does not', async (test) => {
    const server = await started(test);

    const steps = dataOf(await server.compute(hours('10', '11:30', '&step=1h')));

    assert.equal(steps.length, 2);
    assert.equal(steps[1].analytics.window.end, '2026-01-15T12:00:00Z');
  });
});

describe('the answer', () => {
  it('has the fields of a real one in their order', async (test) => {
    const server = await started(test);
    const [real] = JSON.parse(readFileSync(FIXTURE)).data;

    const [set] = dataOf(await server.compute(hours('10', '11')));

    for (const name of ['__idle__', '__unallocated__', '__unmounted__', 'kube-system', 'opencost',
      'hopsworks', 'ingress-nginx', 'analytics']) {
      assert.deepEqual(Object.keys(set[name]), Object.keys(real['kube-system']), name);
    }
    assert.deepEqual(Object.keys(set), Object.keys(set).sort());
  });

  it('adds up to the expected totals', async (test) => {
    const server = await started(test, { seed: 5 });
    const from = parseTime(TEN);
    const expected = expectedTotals({
      seed: 5, namespaces: ['analytics'], from, to: from + 5 * HOUR,
    }).analytics;

    const sets = dataOf(await server.compute(hours('10', '15', '&step=1h')));

    for (const field of ['cpuCoreHours', 'ramByteHours', 'gpuHours', 'pvByteHours', 'totalCost']) {
      const sum = sets.reduce((total, set) => total + toUnits(set.analytics[field]), 0n);
      assert.equal(toDecimal(sum), expected[field], field);
    }
  });

  it('covers the present hour up to the present minute only', async (test) => {
    const server = await started(test, { now: parseTime(TEN) + HOUR / 4 + 1234 });

    const [part, future] = dataOf(await server.compute(hours('10', '12', '&step=1h')));
    await server.command('POST', '/options', { now: '2026-01-15T12:00:00Z' });
    const [whole] = dataOf(await server.compute(hours('10', '11')));

    assert.equal(part.analytics.minutes, 15);
    assert.equal(part.analytics.end, '2026-01-15T10:15:00Z');
    assert.equal(toUnits(part.analytics.ramByteHours), toUnits(whole.analytics.ramByteHours) / 4n);
    assert.deepEqual(future, {});
  });

  it('gives a window inside an hour its share, and nothing before the beginning', async (test) => {
    const server = await started(test, { from: parseTime(TEN) });

    const [part] = dataOf(await server.compute(hours('10', '10:20')));
    const [whole] = dataOf(await server.compute(hours('10', '11')));
    const [before] = dataOf(await server.compute(hours('09', '10')));

    assert.equal(part.analytics.minutes, 20);
    assert.equal(toUnits(part.analytics.cpuCoreHours),
      toUnits(whole.analytics.cpuCoreHours) / 3n);
    assert.deepEqual(before, {});
  });

  it('has null numbers and null sets when asked to', async (test) => {
    const server = await started(test);

    await server.command('POST', '/options', { nulls: 1 });
    const [{ analytics }] = dataOf(await server.compute(hours('10', '11')));
    const unknown = [analytics.cpuCoreHours, analytics.gpuHours, analytics.ramByteHours,
      analytics.pvByteHours].filter((value) => value === null);
    assert.equal(unknown.length, 1);

    await server.command('POST', '/options', { nullSets: 1 });
    assert.deepEqual(dataOf(await server.compute(hours('10', '12', '&step=1h'))), [null, null]);
  });

  it('comes from a file of hours', async (test) => {
    const file = join(temporaryDirectory(test), 'hours.json');
    writeFileSync(file, JSON.stringify({ [TEN]: { analytics: { cpuCoreHours: 1.5 } } }));
    const server = await started(test, { file });

    const [ten, eleven] = dataOf(await server.compute(hours('10', '12', '&step=1h')));
    const [both] = dataOf(await server.compute(hours('10', '12')));

    assert.deepEqual(Object.keys(ten), ['analytics']);
    assert.equal(ten.analytics.cpuCoreHours, 1.5);
    assert.equal(ten.analytics.minutes, 60);
    assert.deepEqual(eleven, {});
    assert.equal(both.analytics.cpuCoreHours, 1.5);
    assert.equal(both.analytics.window.end, iso(parseTime(TEN) + 2 * HOUR));
  });

  it('comes word for word from a whole OpenCost reply', async (test) => {
    const server = await started(test, { file: FIXTURE });

    const answer = await server.compute(hours('10', '12'));

    assert.deepEqual(JSON.parse(answer.body), JSON.parse(readFileSync(FIXTURE)));
    assert.equal((await server.command('POST', '/data', {})).status, 400);
  });
});

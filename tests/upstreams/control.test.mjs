import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMPUTE, command, dataOf, hours, started, temporaryDirectory } from './lib/testing.mjs';
import { expectedTotals } from './opencost.mjs';
import { parseTime } from './lib/time.mjs';

const PROGRAM = fileURLToPath(new URL('./opencost.mjs', import.meta.url));
const TEN = '2026-01-15T10:00:00Z';

describe('a fault', () => {
  const faulty = async (test, fault) => {
    const server = await started(test);
    assert.equal((await server.command('POST', '/faults', fault)).status, 200);
    const compute = () => server.compute(hours('10', '11'));
    const recovers = async () => assert.equal((await compute()).status, 200);
    return { server, compute, recovers };
  };

  it('of latency delays the answer', async (test) => {
    const { compute, recovers } = await faulty(test, { kind: 'latency', ms: 150 });
    const start = performance.now();

    const answer = await compute();

    assert.equal(answer.status, 200);
    assert.ok(performance.now() - start >= 145);
    await recovers();
  });

  it('of status answers it, with Retry-After', async (test) => {
    const { compute, recovers } = await faulty(test, [
      { kind: 'status', status: 429, retryAfter: 2 }, { kind: 'status', status: 500 },
    ]);

    const [limited, broken] = [await compute(), await compute()];

    assert.equal(limited.status, 429);
    assert.equal(limited.headers['retry-after'], '2');
    assert.equal(JSON.parse(limited.body).reason, 'TooManyRequests');
    assert.equal(broken.status, 500);
    assert.equal(broken.headers['retry-after'], undefined);
    await recovers();
  });

  it('of truncate ends the answer too early', async (test) => {
    const { compute, recovers } = await faulty(test, { kind: 'truncate' });

    await assert.rejects(compute(), { code: 'ECONNRESET', message: 'aborted' });
    await recovers();
  });

  it('of reset closes the connection without an answer', async (test) => {
    const { compute, recovers } = await faulty(test, { kind: 'reset' });

    await assert.rejects(compute(), { code: 'ECONNRESET', message: 'socket hang up' });
    await recovers();
  });

  it('of hang never answers, until the faults are taken back', async (test) => {
    const { server, compute, recovers } = await faulty(test, { kind: 'hang' });

    const hanging = compute();
    hanging.catch(() => {});
    const quick = new Promise((resolve) => { setTimeout(resolve, 100, 'still hanging'); });
    assert.equal(await Promise.race([hanging, quick]), 'still hanging');

    await server.command('DELETE', '/faults');
    await assert.rejects(hanging, { code: 'ECONNRESET' });
    await recovers();
  });

  it('of garbage answers 200 with broken JSON', async (test) => {
    const { compute, recovers } = await faulty(test, { kind: 'garbage' });

    const answer = await compute();

    assert.equal(answer.status, 200);
    assert.throws(() => JSON.parse(answer.body), SyntaxError);
    await recovers();
  });

  it('of error-envelope answers 200 with an error inside', async (test) => {
    const { compute, recovers } = await faulty(test, { kind: 'error-envelope', message: 'no' });

    const answer = await compute();

    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body),
      { code: 500, status: 'error', data: null, message: 'no' });
    await recovers();
  });

  it('is met as often as it says, by matching requests only', async (test) => {
    const { server, compute, recovers } = await faulty(
      test, { kind: 'status', status: 503, times: 2, match: 'allocation' });

    assert.equal((await server.get('/version')).status, 200);
    assert.equal((await compute()).status, 503);
    assert.equal((await server.command('GET', '/faults')).body[0].times, 1);
    assert.equal((await compute()).status, 503);
    await recovers();
  });

  it('that makes no sense is refused and changes nothing', async (test) => {
    const server = await started(test);

    for (const fault of [{ kind: 'fire' }, { kind: 'latency' }, { kind: 'latency', ms: -1 },
      { kind: 'reset', status: 500 }, { kind: 'status', status: 200 }, { kind: 'hang', times: 0 },
      [{ kind: 'reset' }, { kind: 'fire' }], null]) {
      const { status, body } = await server.command('POST', '/faults', fault);
      assert.equal(status, 400, JSON.stringify(fault));
      assert.ok(body.error);
    }
    assert.deepEqual((await server.command('GET', '/faults')).body, []);
  });
});

describe('the control port', () => {
  it('is healthy and knows what it does not know', async (test) => {
    const server = await started(test);

    assert.deepEqual((await server.command('GET', '/health')).body, { status: 'ok' });
    assert.equal((await server.command('GET', '/toString')).status, 404);
    assert.equal((await server.command('POST', '/options', { nulls: 2 })).status, 400);
  });

  it('lists the requests that were seen', async (test) => {
    const server = await started(test);
    await server.command('POST', '/faults', { kind: 'reset', match: 'nowhere' });
    await server.compute(hours('10', '11'));
    await server.get('/nowhere', { token: 'wrong' }).catch(() => {});

    const { body } = await server.command('GET', '/requests');

    assert.deepEqual(
      body.map(({ method, url, status, tokenOk, fault }) => [method, url, status, tokenOk, fault]),
      [['GET', `${COMPUTE}?${hours('10', '11')}`, 200, true, null],
        ['GET', '/nowhere', null, false, 'reset']]);
    assert.ok(Math.abs(Date.parse(body[0].startedAt) - Date.now()) < 60_000);
    await server.command('DELETE', '/requests');
    assert.deepEqual((await server.command('GET', '/requests')).body, []);
  });

  it('replaces hours, overlays namespaces and takes both back', async (test) => {
    const server = await started(test);
    const set = async () => dataOf(await server.compute(hours('10', '11')))[0];
    const before = await set();

    await server.command('POST', '/data', { [TEN]: { late: { cpuCoreHours: 2, label: 'x' } } });
    const replaced = await set();
    assert.deepEqual(Object.keys(replaced), ['late']);
    assert.equal(replaced.late.cpuCores, 2);
    assert.equal(replaced.late.label, 'x');

    await server.command('DELETE', '/data');
    await server.command('PATCH', '/data', { [TEN]: { analytics: null, late: {} } });
    const overlaid = await set();
    assert.deepEqual(overlaid['kube-system'], before['kube-system']);
    assert.ok('late' in overlaid && !('analytics' in overlaid));

    await server.command('POST', '/data', { [TEN]: { analytics: null } });
    assert.deepEqual(await set(), {});
    await server.command('POST', '/data', { [TEN]: null });
    assert.equal(await set(), null);
    await server.command('DELETE', '/data');
    assert.deepEqual(await set(), before);
  });

  it('refuses data that is no set of an hour', async (test) => {
    const server = await started(test);

    for (const data of [[], { soon: {} }, { '2026-01-15T10:30:00Z': {} }, { [TEN]: 7 },
      { [TEN]: { analytics: 7 } }]) {
      assert.equal((await server.command('POST', '/data', data)).status, 400);
    }
  });
});

describe('the program', () => {
  const run = async (test, ...options) => {
    const child = spawn(process.execPath,
      [PROGRAM, '--state', temporaryDirectory(test), ...options], { stdio: ['pipe', 'pipe', 2] });
    test.after(() => child.kill('SIGKILL'));
    const [line] = await once(child.stdout, 'data');
    return { child, ready: JSON.parse(line) };
  };

  it('says on one line where it is, and stops cleanly on SIGTERM and SIGINT', async (test) => {
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const { child, ready } = await run(test, '--token', 'secret', '--namespaces', 'a,b');
      assert.equal(ready.ready, true);
      assert.equal(ready.token, 'secret');
      assert.equal((await command(`${ready.control}/health`, 'GET')).status, 200);

      child.kill(signal);

      assert.deepEqual(await once(child, 'exit'), [0, null]);
    }
  });

  it('stops when its parent dies', async (test) => {
    const script = `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, process.argv.slice(1),
        { stdio: ['ignore', 'inherit', 'inherit'] });
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['-e', script, PROGRAM, '--die-with-parent', '--state',
      temporaryDirectory(test)], { stdio: ['ignore', 'pipe', 2] });
    const { control } = JSON.parse((await once(parent.stdout, 'data'))[0]);

    parent.kill('SIGKILL');
    // The stand-in holds the other end of this pipe.
    await once(parent.stdout, 'close');

    await assert.rejects(command(`${control}/health`, 'GET'));
  });

  it('prints the expected totals', () => {
    const to = '2026-01-16T00:00:00Z';

    const output = execFileSync(process.execPath, [PROGRAM, '--expect', '--from', TEN, '--to', to,
      '--namespaces', 'analytics', '--seed', '9'], { encoding: 'utf8' });

    assert.deepEqual(JSON.parse(output), expectedTotals({
      seed: 9, namespaces: ['analytics'], from: parseTime(TEN), to: parseTime(to),
    }));
  });

  it('explains itself when called wrongly', () => {
    const stderrOf = (...options) => {
      try {
        execFileSync(process.execPath, [PROGRAM, ...options], { stdio: 'pipe' });
        return 'no failure';
      } catch (error) {
        assert.equal(error.status, 2);
        return String(error.stderr);
      }
    };

    assert.match(stderrOf(), /--state is missing[^]*usage:/);
    assert.match(stderrOf('--state', 'x', '--colour'), /Unknown option '--colour'/);
    assert.match(stderrOf('--expect'), /--expect needs --from and --to/);
    assert.match(stderrOf('--expect', '--from', 'today', '--to', TEN), /--from wants a time/);
  });
});

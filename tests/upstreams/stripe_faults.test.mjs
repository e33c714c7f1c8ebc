import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { started } from './lib/stripe/testing.mjs';

describe('a fault', () => {
  const faulty = async (test, fault) => {
    const stripe = await started(test);
    assert.equal((await stripe.command('POST', '/faults', fault)).status, 200);
    return {
      stripe,
      create: () => stripe.post('/v1/customers', { name: 'Ana' }, 'key'),
      made: () => stripe.account.customers.all.length,
    };
  };

  it('of reset-before closes the connection and does nothing', async (test) => {
    const { create, made } = await faulty(test, { kind: 'reset-before' });

    await assert.rejects(create());
    assert.equal(made(), 0);
    assert.equal((await create()).headers.get('idempotent-replayed'), null);
  });

  it('of reset-after-apply does the work, loses the answer and replays it', async (test) => {
    const { create, made } = await faulty(test, { kind: 'reset-after-apply' });

    await assert.rejects(create());
    assert.equal(made(), 1);
    assert.equal((await create()).headers.get('idempotent-replayed'), 'true');
    assert.equal(made(), 1);
  });

  it('of truncate does the work and sends half the answer', async (test) => {
    const { create, made } = await faulty(test, { kind: 'truncate' });

    await assert.rejects(create());
    assert.equal(made(), 1);
  });

  it('of latency is the right answer, late', async (test) => {
    const { create } = await faulty(test, { kind: 'latency', ms: 100 });
    const start = performance.now();

    assert.equal((await create()).status, 200);
    assert.ok(performance.now() - start >= 95);
  });

  it('of status 429 asks to come back and keeps nothing', async (test) => {
    const { create, made } = await faulty(test, { kind: 'status', status: 429, retryAfter: 2 });

    const limited = await create();

    assert.deepEqual([limited.status, limited.headers.get('retry-after'), made()], [429, '2', 0]);
    assert.equal((await create()).status, 200);
  });

  it('of status 500 may be stored under the key, with or without its effect', async (test) => {
    for (const [applied, count] of [
      [false, 0],
      [true, 1],
    ]) {
      const { stripe, create, made } = await faulty(test, {
        kind: 'status',
        status: 500,
        stored: true,
        applied,
      });
      assert.deepEqual([(await create()).status, made()], [500, count]);

      const again = await create();

      assert.deepEqual(
        [again.status, again.headers.get('idempotent-replayed'), made()],
        [500, 'true', count],
      );
      assert.equal((await stripe.post('/v1/customers', { name: 'Ana' }, 'other')).status, 200);
    }
  });

  it('of status 500 may be forgotten', async (test) => {
    const { create, made } = await faulty(test, { kind: 'status', status: 500 });

    assert.equal((await create()).status, 500);
    assert.equal((await create()).status, 200);
    assert.equal(made(), 1);
  });

  it('of status meets a request that was made before, too', async (test) => {
    const { create, made } = await faulty(test, [
      { kind: 'reset-after-apply' },
      { kind: 'status', status: 503 },
    ]);

    await assert.rejects(create());
    assert.equal((await create()).status, 503);
    assert.equal((await create()).headers.get('idempotent-replayed'), 'true');
    assert.equal(made(), 1);
  });

  it('that makes no sense is refused', async (test) => {
    const stripe = await started(test);

    for (const fault of [
      { kind: 'reset' },
      { kind: 'status', status: 200 },
      { kind: 'hang', stored: true },
      null,
    ]) {
      assert.equal(
        (await stripe.command('POST', '/faults', fault)).status,
        400,
        JSON.stringify(fault),
      );
    }
  });
});

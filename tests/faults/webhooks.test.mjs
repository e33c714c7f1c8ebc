/// PostgreSQL goes away and comes back while Stripe delivers: what was acknowledged is there and is
/// applied, all else is answered so that Stripe brings it again, and is then taken.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import { eventually, installation, sleep } from './harness.mjs';
import { signPayload } from '../upstreams/stripe.mjs';

const SECRET = 'whsec_faults';
const ROUTES = {
  '/api/webhooks/stripe': { error: 'Webhook processing failed' },
  '/api/billing/stripe-webhook': { error: true, message: 'webhook_error' },
};

describe('webhooks', { timeout: 300_000 }, () => {
  const cleanups = [];
  let home, service, made = 0;

  before(async () => {
    home = installation({ after: (f) => cleanups.push(f) });
    const first = await home.serve(); // makes the database
    assert.equal(await first.stop(), 0);
    await home.startPostgres();
    service = await home.serve({
      DATABASE_URL: home.url, STRIPE_SECRET_KEY: 'sk_test_faults', STRIPE_WEBHOOK_SECRET: SECRET,
      BINNACLE_STRIPE_API_URL: 'http://127.0.0.1:1', BINNACLE_SESSION_MAX_IN_FLIGHT: '100',
      // What PostgreSQL took along into the dark must be found again, not waited for.
      BINNACLE_STRIPE_EVENT_LEASE: '1h',
    });
  });
  after(() => cleanups.forEach((f) => f()));

  /// An event that is applied without a call to Stripe, or one from which nothing follows.
  function event() {
    made += 1;
    return { id: `evt_fault_${made}`, object: 'event', api_version: '2025-06-30.basil', livemode: false,
      created: Math.floor(Date.now() / 1000),
      type: made % 2 ? 'charge.refunded' : 'customer.updated',
      data: { object: { id: `ch_${made}`, object: 'charge', customer: `cus_${made % 50}` } } };
  }
  function deliver(path, what, agent) {
    const body = JSON.stringify(what);
    return service.call('POST', path,
      { body, agent, headers: { 'stripe-signature': signPayload(body, SECRET) } });
  }

  /// Deliveries over both routes until `stop()`, each repeated, as Stripe does, until it is taken.
  function deliveries(senders = 16) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: senders });
    const seen = { taken: [], refused: new Map(), wrong: [] };
    let running = true;
    const work = Array.from({ length: senders }, async (_, sender) => {
      const path = Object.keys(ROUTES)[sender % 2];
      while (running) {
        const what = event();
        for (;;) {
          const answer = await deliver(path, what, agent);
          if (answer.status === 200) break;
          seen.refused.set(path, (seen.refused.get(path) ?? 0) + 1);
          if (answer.status !== 503 || JSON.stringify(answer.json) !== JSON.stringify(ROUTES[path]))
            seen.wrong.push([answer.status, answer.text]);
          await sleep(20);
        }
        seen.taken.push(what.id);
      }
    });
    const stop = async () => {
      running = false;
      await Promise.all(work);
      agent.destroy();
      return seen;
    };
    return { seen, stop };
  }

  for (const [how, end] of [
    ['stopped', () => home.stopPostgres('fast')],
    ['killed', () => home.killPostgres()],
  ])
    it(`PostgreSQL ${how} and started: nothing acknowledged is lost, and all is taken in the end`, async () => {
      const { seen, stop } = deliveries();
      await eventually('events are taken', () => seen.taken.length > 100);
      await end();
      await eventually('both routes refuse', () => seen.refused.size === 2);
      await home.startPostgres();
      const before = seen.taken.length;
      await eventually('events are taken again', () => seen.taken.length > before + 100);
      const done = await stop();

      assert.deepEqual(done.wrong, []);
      const there = new Set(home.sql('SELECT id FROM stripe_events').split('\n'));
      assert.deepEqual(done.taken.filter((id) => !there.has(id)), [], 'lost');
      assert.equal(there.size, made, 'each event is there once');
      await eventually('all is applied', () =>
        home.sql("SELECT count(*) FROM stripe_events WHERE state <> 'applied'") === '0');
    });

  it('each route answers by itself while PostgreSQL is away, and takes the same event afterwards', async () => {
    home.stopPostgres('immediate');
    const waiting = Object.entries(ROUTES).map(([path, body]) => ({ path, body, what: event() }));
    for (const { path, body, what } of waiting) {
      const answer = await deliver(path, what);
      assert.equal(answer.status, 503, path);
      assert.deepEqual(answer.json, body, path);
    }
    await home.startPostgres();
    for (const { path, what } of waiting) {
      await eventually(`${path} takes it`, async () => (await deliver(path, what)).status === 200);
      assert.equal(home.sql(`SELECT count(*) FROM stripe_events WHERE id = '${what.id}'`), '1');
    }
  });
});

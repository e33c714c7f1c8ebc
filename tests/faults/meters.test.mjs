/// However often the sync dies, and whatever Stripe does meanwhile: what Stripe has counted is what
/// the books say.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { startStripe } from '../upstreams/stripe.mjs';
import { command } from '../upstreams/lib/testing.mjs';
import { eventually, installation } from './harness.mjs';

const PAYERS = 40;
const DAYS = 3;

/// Reproducible, so that a failure can be seen again.
function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe('meter reports', { timeout: 240_000 }, () => {
  const cleanups = [];
  const test = { after: (f) => cleanups.push(f) };
  let home, stripe;

  before(async () => {
    stripe = await startStripe({ settings: { meterMs: 2 } });
    test.after(() => stripe.close());
    home = installation(test, {
      STRIPE_SECRET_KEY: stripe.secretKey,
      BINNACLE_STRIPE_API_URL: stripe.url,
      BINNACLE_STRIPE_ATTEMPTS: '1',
    });
    await home.serve({ STRIPE_SECRET_KEY: '' }); // for its PostgreSQL; reports nothing itself
    for (let i = 1; i <= PAYERS; i += 1) {
      const { id } = await (await fetch(`${stripe.url}/v1/customers`, {
        method: 'POST',
        headers: { authorization: `Bearer ${stripe.secretKey}`, 'idempotency-key': `p${i}` },
        body: new URLSearchParams({ name: `p${i}` }),
      })).json();
      home.sql(`INSERT INTO users (id, billing_mode, created_at, updated_at) VALUES ('p${i}', 'postpaid', now(), now());
        INSERT INTO stripe_customers (user_id, customer_id, created_at) VALUES ('p${i}', '${id}', now());
        INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at, updated_at)
          VALUES ('sub_p${i}', 'p${i}', '${id}', 'usage', 'active', now(), now(), now())`);
    }
  });
  after(async () => { for (const f of cleanups.reverse()) await f(); });

  const misbehave = (kind, times) =>
    command(`${stripe.control}/faults`, 'POST', { kind, match: 'meter_events', times });
  /// Every payer's days get an amount; a second time it is a correction.
  const book = (factor) => home.sql(`
    INSERT INTO usage_daily AS d (user_id, day, opencost_cpu_hours, opencost_gpu_hours, opencost_ram_gb_hours,
      opencost_total_cost, online_storage_gb_hours, offline_storage_gb_hours, online_storage_gb,
      offline_storage_gb, total_credits, compute_cost, storage_cost, created_at, updated_at)
    SELECT 'p' || p, (now() AT TIME ZONE 'UTC')::date - n, 0, 0, 0, 0, 0, 0, 0, 0,
      ${factor} * (p + n * 0.0137), 0, 0, now(), now()
    FROM generate_series(1, ${PAYERS}) p, generate_series(1, ${DAYS}) n
    ON CONFLICT (user_id, day) DO UPDATE SET total_credits = EXCLUDED.total_credits,
      revision = d.revision + 1, reported_to_stripe = false`);
  /// Runs the command; with `after`, kills it that many milliseconds after its start.
  async function run(killAfter) {
    const child = home.spawn(['sync-stripe']);
    let out = '';
    child.stdout.on('data', (text) => { out += text; });
    if (killAfter !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfter);
    const [code] = await once(child, 'close');
    // What the dead one held is free when its lease is over.
    if (code === null) home.sql("UPDATE meter_reports SET lease_until = now() - interval '1 s' WHERE lease_until IS NOT NULL");
    return { code, out };
  }
  const finish = () => eventually('everything is reported', async () => {
    const { code, out } = await run();
    return code === 0 && /No unreported usage/.test(out);
  }, { within: 120_000 });

  async function assertBooksAgree() {
    const { customers } = (await command(`${stripe.control}/meters/compute_credits/totals`, 'GET')).body;
    const rows = home.sql(`SELECT c.customer_id, trunc(sum(d.total_credits) * 100)::bigint
      FROM usage_daily d JOIN stripe_customers c USING (user_id) GROUP BY 1`).split('\n');
    assert.equal(rows.length, PAYERS);
    for (const row of rows) {
      const [customer, expected] = row.split('|');
      assert.equal(String(customers[customer]?.sum), expected, customer);
    }
    assert.equal(home.sql('SELECT count(*) FROM usage_daily WHERE NOT reported_to_stripe'), '0');
  }

  it('count once what a sync reported that was killed again and again', async () => {
    const any = random(7);
    book(1);
    for (let i = 0; i < 8; i += 1) {
      const [one, other] = await Promise.all([run(150 + any() * 900), run(150 + any() * 900)]);
      assert.ok(one && other);
    }
    await finish();
    await assertBooksAgree();
  });

  it('count corrections once while Stripe loses answers, refuses and resets', async () => {
    const any = random(11);
    book(1.5);
    for (const kind of ['reset-after-apply', 'truncate', 'reset-before', 'reset-after-apply']) {
      await misbehave(kind, 25);
      await run(any() < 0.5 ? 200 + any() * 800 : undefined);
    }
    await command(`${stripe.control}/faults`, 'DELETE');
    await finish();
    await assertBooksAgree();
  });

  it('count two syncs at once once', async () => {
    book(0.75);
    await Promise.all([run(), run(), run()]);
    await finish();
    await assertBooksAgree();
  });
});

// The daily sync of meters, against the stand-in for Stripe with no limit on its rate.
import { startStripe } from '../../tests/upstreams/stripe.mjs';
import { cpuSeconds } from './processes.mjs';

/** {customers, reports, seconds}: everybody's yesterday, compute and both kinds of storage. */
export async function measureMeters(service, customers) {
  const stripe = await startStripe();
  const settings = {
    STRIPE_SECRET_KEY: stripe.secretKey,
    BINNACLE_STRIPE_API_URL: stripe.url,
    BINNACLE_STRIPE_RATE: '10000',
    BINNACLE_STRIPE_PARALLEL: '32',
  };
  await service.start();
  const ids = [];
  for (let first = 0; first < customers; first += 100)
    ids.push(...await Promise.all(Array.from({ length: Math.min(100, customers - first) }, async (_, i) => {
      const answer = await fetch(`${stripe.url}/v1/customers`, {
        method: 'POST',
        headers: { authorization: `Bearer ${stripe.secretKey}`, 'idempotency-key': `c${first + i}` },
        body: new URLSearchParams({ name: `c${first + i}` }),
      });
      return (await answer.json()).id;
    })));
  await service.postgres.sql(`
    CREATE TEMP TABLE c AS SELECT n, id FROM unnest(ARRAY['${ids.join("','")}']) WITH ORDINALITY AS _(id, n);
    INSERT INTO users (id, billing_mode, created_at, updated_at) SELECT 'm' || n, 'postpaid', now(), now() FROM c;
    INSERT INTO stripe_customers (user_id, customer_id, created_at) SELECT 'm' || n, id, now() FROM c;
    INSERT INTO subscriptions (id, user_id, customer_id, kind, status, as_of, created_at, updated_at)
      SELECT 'sub_' || n, 'm' || n, id, 'usage', 'active', now(), now(), now() FROM c;
    INSERT INTO usage_daily (user_id, day, opencost_cpu_hours, opencost_gpu_hours, opencost_ram_gb_hours,
        opencost_total_cost, online_storage_gb_hours, offline_storage_gb_hours, online_storage_gb,
        offline_storage_gb, total_credits, compute_cost, storage_cost, created_at, updated_at)
      SELECT 'm' || n, (now() AT TIME ZONE 'UTC')::date - 1, 1, 0, 1, 1, 240, 2400, 10, 100, n * 0.01, 1, 1,
        now(), now() FROM c;
    ANALYZE`);
  const cpu = cpuSeconds([process.pid]);
  const began = performance.now();
  const output = await service.command(['sync-stripe'], { env: settings, seconds: 600 });
  const seconds = (performance.now() - began) / 1000;
  const standIn = cpuSeconds([process.pid]) - cpu;
  const { results } = JSON.parse(output.trim().split('\n').at(-1));
  if (results.successful !== customers) throw new Error(`${results.successful} of ${customers} reported`);
  await service.stop();
  await stripe.close();
  return { customers, reports: results.planned, seconds, standIn };
}

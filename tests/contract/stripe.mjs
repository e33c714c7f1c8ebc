/// Binnacle with the stand-in for Stripe beside it.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startStripe } from '../upstreams/stripe.mjs';
import { makeDirectory, startService } from './harness.mjs';

export const PRICES = {
  CREDITS_PRICING_TABLE: JSON.stringify({ 100: 'price_credits_100', 500: 'price_credits_500' }),
  PRICING_TABLE: JSON.stringify({ pro: 'price_pro_monthly', premium: 'price_premium_monthly' }),
  PRICING_TABLE_ANNUAL: JSON.stringify({ pro: 'price_pro_annual' }),
};
export const PRODUCTS = `INSERT INTO stripe_products (product_type, stripe_price_id, unit_price)
  VALUES ('compute_credits', 'price_compute_credits', 0.35),
         ('storage_online_gb', 'price_storage_online_gb', 0.5)`;

class StandIn {
  constructor(server) { Object.assign(this, { server, key: 0 }); }
  get env() {
    return { STRIPE_SECRET_KEY: this.server.secretKey, BINNACLE_STRIPE_API_URL: this.server.url };
  }
  async command(method, path, body) {
    const answer = await fetch(`${this.server.control}${path}`,
      { method, body: body && JSON.stringify(body) });
    const json = await answer.json().catch(() => null);
    assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(json)}`);
    return json;
  }
  act(action) { return this.command('POST', '/actions', action); }
  all(collection) { return this.command('GET', `/state/${collection}`); }
  fault(...faults) { return this.command('POST', '/faults', faults); }
  noFaults() { return this.command('DELETE', '/faults'); }
  /// What was asked since `forget`: "POST /v1/customers".
  async requests() {
    return (await this.command('GET', '/requests')).map((r) => `${r.method} ${r.url.split('?')[0]}`);
  }
  forget() { return this.command('DELETE', '/requests'); }
  /// Straight to Stripe's API, as somebody at the dashboard would.
  async post(path, form) {
    const answer = await fetch(`${this.server.url}${path}`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${this.server.secretKey}`,
        'Idempotency-Key': `test-${++this.key}`,
        'Content-Type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams(form).toString(),
    });
    const json = await answer.json();
    assert.ok(answer.ok, `POST ${path}: ${JSON.stringify(json)}`);
    return json;
  }
  close() { return this.server.close(); }
}

export async function startStandIn() { return new StandIn(await startStripe()); }

/// A service that is configured for Stripe; `stop` ends both.
export async function startShop(env = {}) {
  const stripe = await startStandIn();
  const service = await startService({
    directory: makeDirectory(),
    env: { ...PRICES, ...stripe.env, BINNACLE_RATE_LIMIT_SCALE: '1000',
      BINNACLE_SESSION_MAX_IN_FLIGHT: '100', ...env },
  });
  return { service, stripe, stop: () => Promise.all([service.stop(), stripe.close()]) };
}

/// Another process over the same database, with the same keys.
export async function startSecond(service) {
  const directory = makeDirectory();
  const secrets = join(directory, 'data/secrets');
  mkdirSync(secrets, { recursive: true, mode: 0o700 });
  for (const name of ['token-signing-key.pem', 'vault-key'])
    copyFileSync(join(service.data, 'secrets', name), join(secrets, name));
  const password = readFileSync(join(service.data, 'secrets/postgres-password'), 'utf8').trim();
  const host = encodeURIComponent(join(service.data, 'postgres/run'));
  return startService({
    directory,
    env: { ...service.env, BINNACLE_LISTEN: '127.0.0.1:0',
      DATABASE_URL: `postgresql://binnacle:${password}@/binnacle?host=${host}` },
  });
}

/// What a browser of the hub sends along with a write.
export const hubHeaders = (service) =>
  ({ headers: { Origin: service.url, 'X-CSRF-Token': 'csrf-1' }, cookie: 'csrf_token=csrf-1' });

#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Faults } from './lib/faults.mjs';
import { RequestLog } from './lib/log.mjs';
import { UsageError, close, listen, number, readFlags, runIfMain, serve } from './lib/program.mjs';
import { Account } from './lib/stripe/account.mjs';
import { FAULTS, Limiter, createApi } from './lib/stripe/api.mjs';
import { addCatalogue } from './lib/stripe/catalogue.mjs';
import { Clock } from './lib/stripe/clock.mjs';
import { createControl } from './lib/stripe/control.mjs';
import { Idempotency } from './lib/stripe/idempotency.mjs';
import { Keeper, loadKey } from './lib/stripe/keeping.mjs';
import { signPayload, verify } from './lib/stripe/signature.mjs';
import { Webhooks } from './lib/stripe/webhooks.mjs';

export { signPayload, verify };

const CATALOGUE = new URL('./fixtures/catalogue.json', import.meta.url);

const USAGE = `usage: node stripe.mjs [options]        serve until SIGTERM or SIGINT

  --state DIR           keep the key and the account there (default: nothing is kept)
  --port N              port on 127.0.0.1 (default 0: a free one)
  --control-port N      control port on 127.0.0.1 (default 0: a free one)
  --key K               secret key (default: random, kept in DIR)
  --catalogue FILE      products, prices and meters (default: fixtures/catalogue.json)
  --webhook URL=SECRET  an endpoint that gets all events; may be given more than once
  --rate-limit N        requests per second before 429 (default: none)
  --die-with-parent     stop when the process that started this one is gone
  --help`;

const FLAGS = {
  state: { type: 'string' },
  port: { type: 'string', default: '0' },
  'control-port': { type: 'string', default: '0' },
  key: { type: 'string' },
  catalogue: { type: 'string' },
  webhook: { type: 'string', multiple: true, default: [] },
  'rate-limit': { type: 'string' },
  'die-with-parent': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

/// Starts the stand-in; {url, control, secretKey, account, webhooks, close()}. `webhooks` are
/// endpoints {url, secret, events?}, `settings` those of POST /options.
export async function startStripe({
  state,
  port = 0,
  controlPort = 0,
  secretKey,
  catalogue,
  webhooks: endpoints = [],
  settings = {},
} = {}) {
  const clock = new Clock();
  const account = new Account(clock);
  const webhooks = new Webhooks(account);
  const idempotency = new Idempotency(clock);
  const keeper = new Keeper(state, { account, idempotency, webhooks });
  const parts = {
    account,
    webhooks,
    idempotency,
    keeper,
    secretKey: loadKey(state, secretKey),
    faults: new Faults(FAULTS),
    log: new RequestLog(),
    limiter: new Limiter(),
    locks: new Set(),
    settings: { rateLimit: null, requireIdempotencyKey: true, meterMs: 0, ...settings },
  };
  const api = createApi(parts);
  const control = createControl(parts);
  keeper.restore();
  addCatalogue(account, catalogue ?? JSON.parse(readFileSync(CATALOGUE, 'utf8')));
  for (const endpoint of endpoints) webhooks.register(endpoint);
  const servers = [await listen(api, port), await listen(control, controlPort)];
  account.url = `http://127.0.0.1:${api.address().port}`;
  return {
    url: account.url,
    control: `http://127.0.0.1:${control.address().port}`,
    secretKey: parts.secretKey,
    account,
    webhooks,
    async close() {
      webhooks.close();
      await Promise.all(servers.map(close));
      keeper.save();
    },
  };
}

async function main() {
  const values = readFlags(FLAGS);
  if (values.help) return console.log(USAGE);
  const server = await startStripe({
    state: values.state,
    port: number(values, 'port', 65535),
    controlPort: number(values, 'control-port', 65535),
    secretKey: values.key,
    catalogue: values.catalogue && readCatalogue(values.catalogue),
    webhooks: values.webhook.map(endpoint),
    settings:
      values['rate-limit'] === undefined ? {} : { rateLimit: number(values, 'rate-limit', 1e6) },
  });
  const { url, control, secretKey } = server;
  return serve(server, { url, control, secretKey }, { dieWithParent: values['die-with-parent'] });
}

function readCatalogue(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`--catalogue: ${error.message}`);
  }
}

function endpoint(text) {
  const [url, secret] = text.split(/=(.*)/s);
  if (!/^https?:\/\/./.test(url) || !secret) throw new UsageError('--webhook wants URL=SECRET');
  return { url, secret };
}

runIfMain(import.meta.url, 'stripe.mjs', USAGE, main);

#!/usr/bin/env node
import { resolve } from 'node:path';
import { createApi } from './lib/api.mjs';
import { createControl } from './lib/control.mjs';
import { Faults, OPENCOST_FAULTS } from './lib/faults.mjs';
import { expectedTotals } from './lib/generator.mjs';
import { loadIdentity, writeKubeconfigs } from './lib/identity.mjs';
import { RequestLog } from './lib/log.mjs';
import { UsageError, close, listen, number, readFlags, runIfMain, serve } from './lib/program.mjs';
import { Store } from './lib/store.mjs';
import { parseTime } from './lib/time.mjs';

export { expectedTotals };

const USAGE = `usage: node opencost.mjs --state DIR [options]        serve until SIGTERM or SIGINT
       node opencost.mjs --expect --from T --to T [options]   print what is to be booked

  --state DIR           where certificates, token and kubeconfigs are kept
  --port N              TLS port on 127.0.0.1 (default 0: a free one)
  --control-port N      control port on 127.0.0.1 (default 0: a free one)
  --token T             bearer token (default: random, kept in DIR)
  --data FILE.json      answer from {"<hour>": {"<namespace>": {...}}} or a whole OpenCost reply
  --seed N              of the generator (default 1)
  --namespaces a,b,c    to generate (default analytics,fraud-detection,recommender)
  --from T              no data before this time, like 2026-01-31T09:00:00Z
  --to T                with --expect: the end of the range
  --now T               no data after this time (default: the clock)
  --nulls P             share of namespace-hours with an unknown number (default 0)
  --null-sets P         share of hours that are a null set (default 0)
  --die-with-parent     stop when the process that started this one is gone
  --help`;

const FLAGS = {
  state: { type: 'string' },
  port: { type: 'string', default: '0' },
  'control-port': { type: 'string', default: '0' },
  token: { type: 'string' },
  data: { type: 'string' },
  seed: { type: 'string', default: '1' },
  namespaces: { type: 'string', default: 'analytics,fraud-detection,recommender' },
  from: { type: 'string' },
  to: { type: 'string' },
  now: { type: 'string' },
  nulls: { type: 'string', default: '0' },
  'null-sets': { type: 'string', default: '0' },
  'die-with-parent': { type: 'boolean', default: false },
  expect: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

/// Starts the stand-in; {url, control, kubeconfig, token, close()}.
export async function startOpenCost({ state, port = 0, controlPort = 0, token, ...data }) {
  const store = new Store({ seed: 1, namespaces: [], nulls: 0, nullSets: 0, ...data });
  const identity = loadIdentity(resolve(state), token);
  const parts = { identity, store, faults: new Faults(OPENCOST_FAULTS), log: new RequestLog() };
  const api = createApi(parts);
  const control = createControl(parts);
  const servers = [await listen(api, port), await listen(control, controlPort)];
  const url = `https://127.0.0.1:${api.address().port}`;
  return {
    url,
    control: `http://127.0.0.1:${control.address().port}`,
    kubeconfig: writeKubeconfigs(resolve(state), identity, url),
    token: identity.token,
    close: () => Promise.all(servers.map(close)),
  };
}

async function main() {
  const values = readFlags(FLAGS);
  if (values.help) return console.log(USAGE);
  const settings = {
    seed: number(values, 'seed', Number.MAX_SAFE_INTEGER),
    namespaces: values.namespaces.split(',').map((name) => name.trim()).filter(Boolean),
    from: time(values, 'from'),
    now: time(values, 'now'),
    nulls: share(values, 'nulls'),
    nullSets: share(values, 'null-sets'),
  };
  return values.expect ? expect(settings, time(values, 'to')) : start(values, settings);
}

function expect(settings, to) {
  if (settings.from === undefined || to === undefined) {
    throw new UsageError('--expect needs --from and --to');
  }
  console.log(JSON.stringify(expectedTotals({ ...settings, to }), null, 2));
}

async function start(values, settings) {
  if (!values.state) throw new UsageError('--state is missing');
  if (values.to) throw new UsageError('--to belongs to --expect');
  const server = await startOpenCost({
    ...settings,
    state: values.state,
    port: number(values, 'port', 65535),
    controlPort: number(values, 'control-port', 65535),
    token: values.token,
    file: values.data,
  });
  const { url, control, kubeconfig, token } = server;
  serve(server, { url, control, kubeconfig, token }, { dieWithParent: values['die-with-parent'] });
}

function share(values, name) {
  const value = Number(values[name]);
  if (!(value >= 0 && value <= 1)) throw new UsageError(`--${name} is between 0 and 1`);
  return value;
}

function time(values, name) {
  if (values[name] === undefined) return undefined;
  const value = parseTime(values[name]);
  if (value === undefined) throw new UsageError(`--${name} wants a time like 2026-01-31T09:00:00Z`);
  return value;
}

runIfMain(import.meta.url, 'opencost.mjs', USAGE, main);

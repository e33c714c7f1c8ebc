#!/usr/bin/env node
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createCommands, done } from './lib/commands.mjs';
import { Faults } from './lib/faults.mjs';
import { HOPSWORKS_FAULTS, createApi } from './lib/hopsworks/api.mjs';
import { Deployment } from './lib/hopsworks/deployment.mjs';
import { loadIdentity } from './lib/identity.mjs';
import { RequestLog } from './lib/log.mjs';
import { UsageError, close, listen, number, readFlags, runIfMain, serve } from './lib/program.mjs';

const USAGE = `usage: node hopsworks.mjs --state DIR [options]        serve until SIGTERM or SIGINT

  --state DIR           where the key, the certificate and the data are kept
  --port N              port on 127.0.0.1 (default 0: a free one)
  --control-port N      control port on 127.0.0.1 (default 0: a free one)
  --key K               API key (default: random, kept in DIR)
  --tls                 speak TLS, with a certificate that nobody trusts
  --die-with-parent     stop when the process that started this one is gone
  --help`;

const FLAGS = {
  state: { type: 'string' },
  port: { type: 'string', default: '0' },
  'control-port': { type: 'string', default: '0' },
  key: { type: 'string' },
  tls: { type: 'boolean', default: false },
  'die-with-parent': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

/// Starts the stand-in; {url, control, apiKey, deployment, close()}. Without a state directory
/// nothing is kept, and there is no TLS.
export async function startHopsworks({ state, port = 0, controlPort = 0, apiKey, tls = false } = {}) {
  const deployment = new Deployment(state);
  const parts = {
    deployment,
    apiKey: keepKey(state, apiKey),
    identity: tls ? loadIdentity(resolve(state)) : null,
    faults: new Faults(HOPSWORKS_FAULTS),
    log: new RequestLog(),
  };
  const api = createApi(parts);
  const servers = [await listen(api, port), await listen(createControl(parts), controlPort)];
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${api.address().port}`,
    control: `http://127.0.0.1:${servers[1].address().port}`,
    apiKey: parts.apiKey,
    deployment,
    close: () => Promise.all(servers.map(close)),
  };
}

function createControl({ deployment, faults, log }) {
  return createCommands({
    'GET /health': () => ({ status: 'ok' }),
    'GET /faults': () => faults.pending,
    'POST /faults': done((body) => faults.add(body)),
    'DELETE /faults': done(() => faults.clear()),
    'GET /requests': () => log.entries,
    'DELETE /requests': done(() => log.clear()),
    'GET /state': () => ({ users: deployment.users, projects: deployment.projects }),
    'DELETE /state': done(() => deployment.reset()),
    'POST /users': (body) => deployment.addUser({ firstname: 'A', lastname: 'User',
      maxNumProjects: 5, ...body }),
    'POST /users/:id': (body, id) => deployment.changeUser(Number(id), body),
    'POST /projects': (body) => deployment.addProject(body),
    'DELETE /projects/:id': done((_, id) => deployment.removeProject(Number(id))),
  });
}

function keepKey(state, wanted) {
  const key = wanted ?? `${randomBytes(8).toString('hex')}.${randomBytes(24).toString('hex')}`;
  if (!state) return key;
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const path = join(state, 'api-key');
  if (wanted === undefined && existsSync(path)) return readFileSync(path, 'utf8').trim();
  writeFileSync(path, `${key}\n`, { mode: 0o600 });
  return key;
}

async function main() {
  const values = readFlags(FLAGS);
  if (values.help) return console.log(USAGE);
  if (!values.state) throw new UsageError('--state is missing');
  const server = await startHopsworks({
    state: values.state,
    port: number(values, 'port', 65535),
    controlPort: number(values, 'control-port', 65535),
    apiKey: values.key,
    tls: values.tls,
  });
  const { url, control, apiKey } = server;
  serve(server, { url, control, apiKey }, { dieWithParent: values['die-with-parent'] });
}

runIfMain(import.meta.url, 'hopsworks.mjs', USAGE, main);

#!/usr/bin/env node
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCommands, done } from './lib/commands.mjs';
import { Faults, isCount, isFailure, isFlag } from './lib/faults.mjs';
import { RequestLog } from './lib/log.mjs';
import { close, listen, number, readFlags, runIfMain, serve } from './lib/program.mjs';

/// api.resend.com, as far as sending single mails goes.

const USAGE = `usage: node resend.mjs [options]        serve until SIGTERM or SIGINT

  --state DIR           keep the key there (default: it is not kept)
  --port N              port on 127.0.0.1 (default 0: a free one)
  --control-port N      control port on 127.0.0.1 (default 0: a free one)
  --key K               API key (default: random)
  --die-with-parent     stop when the process that started this one is gone
  --help`;

const FLAGS = {
  state: { type: 'string' },
  port: { type: 'string', default: '0' },
  'control-port': { type: 'string', default: '0' },
  key: { type: 'string' },
  'die-with-parent': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

const FAULTS = {
  latency: { needed: { ms: isCount } },
  status: { needed: { status: isFailure }, optional: { retryAfter: isCount, applied: isFlag } },
  'reset-before': {},
  'reset-after-apply': {},
  hang: {},
};

const LARGEST_BODY = 1 << 20;
const KEYS_KEPT_MS = 24 * 3_600_000;
const ADDRESS = /^[^\s@<>"]+@[^\s@<>".]+(\.[^\s@<>".]+)*$/;

/// Starts the stand-in; {url, control, apiKey, mails, close()}.
export async function startResend({ state, port = 0, controlPort = 0, apiKey } = {}) {
  const parts = {
    apiKey: loadKey(state, apiKey),
    mails: [], // received, the oldest first
    keys: new Map(), // Idempotency-Key -> {at, digest, id}
    faults: new Faults(FAULTS),
    log: new RequestLog(),
  };
  const api = http.createServer((request, response) => {
    answer(parts, request, response).catch((error) =>
      send(response, refusal(500, 'application_error', error.message)));
  });
  const control = createCommands({
    'GET /health': () => ({ status: 'ok' }),
    'GET /faults': () => parts.faults.pending,
    'POST /faults': done((body) => parts.faults.add(body)),
    'DELETE /faults': done(() => parts.faults.clear()),
    'GET /requests': () => parts.log.entries,
    'DELETE /requests': done(() => parts.log.clear()),
    'GET /mails': () => parts.mails,
    'DELETE /mails': done(() => parts.mails.splice(0)),
  });
  const servers = [await listen(api, port), await listen(control, controlPort)];
  return {
    url: `http://127.0.0.1:${api.address().port}`,
    control: `http://127.0.0.1:${control.address().port}`,
    apiKey: parts.apiKey,
    mails: parts.mails,
    faults: parts.faults,
    log: parts.log,
    close: () => Promise.all(servers.map(close)),
  };
}

async function answer(parts, request, response) {
  const key = request.headers['idempotency-key'] ?? null;
  const entry = parts.log.open(request, { key, fault: null });
  const text = await readBody(request);
  const fault = parts.faults.take(`${request.method} ${request.url}`);
  if (fault) entry.fault = fault.kind;
  if (fault?.kind === 'reset-before') return request.socket.destroy();
  if (fault?.kind === 'hang') return parts.faults.hang(request.socket);
  if (fault?.kind === 'latency') await sleep(fault.ms);
  const bent = fault?.kind === 'status';
  const normal = bent && !fault.applied ? null : respond(parts, request, key, text);
  if (fault?.kind === 'reset-after-apply') return request.socket.destroy();
  const sent = bent ? refusal(fault.status, 'application_error', 'misbehaving on command',
    fault.retryAfter) : normal;
  entry.status = sent.status;
  send(response, sent);
}

function respond({ apiKey, mails, keys }, request, key, text) {
  if (request.method !== 'POST' || request.url !== '/emails')
    return refusal(404, 'not_found', 'The requested endpoint does not exist');
  const given = request.headers.authorization;
  if (!given) return refusal(401, 'missing_api_key', 'Missing API key in the authorization header');
  if (!same(given, `Bearer ${apiKey}`)) return refusal(403, 'invalid_api_key', 'API key is invalid');
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
    return refusal(422, 'validation_error', 'The body is not JSON');
  // Stricter than Resend, which takes a mail without a key: ours must never be sent twice.
  if (!key || key.length > 256)
    return refusal(400, 'invalid_idempotency_key', 'The key must be between 1-256 chars');
  const mail = check(text);
  if (mail.status) return mail;
  const digest = createHash('sha256').update(text).digest('hex');
  const known = keys.get(key);
  if (known && Date.now() - known.at < KEYS_KEPT_MS)
    return known.digest === digest ? accepted(known.id)
      : refusal(409, 'invalid_idempotent_request', 'Same idempotency key used with a different request payload');
  const id = `${randomBytes(4).toString('hex')}-0000-4000-8000-${randomBytes(6).toString('hex')}`;
  keys.set(key, { at: Date.now(), digest, id });
  mails.push({ id, key, receivedAt: new Date().toISOString(), ...mail });
  return accepted(id);
}

function check(text) {
  const wrong = (what) => refusal(422, 'validation_error', what);
  let mail;
  try {
    mail = JSON.parse(text);
  } catch {
    return wrong('The body is not JSON');
  }
  const known = ['from', 'to', 'subject', 'text', 'html'];
  for (const name of Object.keys(mail)) if (!known.includes(name)) return wrong(`Unknown field ${name}`);
  for (const name of ['from', 'subject', 'text', 'html'])
    if (typeof mail[name] !== 'string' || mail[name] === '') return wrong(`Missing \`${name}\` field`);
  const [, named] = /^[^<>]*<([^<>]+)>$/.exec(mail.from) ?? [null, mail.from];
  if (!ADDRESS.test(named)) return wrong('Invalid `from` field');
  if (!Array.isArray(mail.to) || mail.to.length !== 1 || !ADDRESS.test(mail.to[0]))
    return wrong('Invalid `to` field');
  return mail;
}

const accepted = (id) => ({ status: 200, headers: {}, body: { id } });
const refusal = (status, name, message, retryAfter) => ({
  status,
  headers: retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) },
  body: { statusCode: status, name, message },
});

function send(response, { status, headers, body }) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

function same(a, b) {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    if ((size += chunk.length) > LARGEST_BODY) throw new RangeError('body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function loadKey(state, given) {
  const fresh = () => `re_${randomBytes(16).toString('hex')}`;
  if (given || !state) return given ?? fresh();
  mkdirSync(state, { recursive: true });
  const file = join(state, 'api-key');
  if (!existsSync(file)) writeFileSync(file, fresh(), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

async function main() {
  const values = readFlags(FLAGS);
  if (values.help) return console.log(USAGE);
  const server = await startResend({
    state: values.state,
    port: number(values, 'port', 65535),
    controlPort: number(values, 'control-port', 65535),
    apiKey: values.key,
  });
  const { url, control, apiKey } = server;
  return serve(server, { url, control, apiKey }, { dieWithParent: values['die-with-parent'] });
}

runIfMain(import.meta.url, 'resend.mjs', USAGE, main);

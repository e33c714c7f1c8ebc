#!/usr/bin/env node
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createCommands, done } from './lib/commands.mjs';
import { Faults, isCount, isFailure, misbehave } from './lib/faults.mjs';
import { RequestLog } from './lib/log.mjs';
import { close, listen, number, readFlags, runIfMain, serve } from './lib/program.mjs';

const USAGE = `usage: node hubspot.mjs [options]       serve until SIGTERM or SIGINT

  --state DIR           keep the token there (default: it is not kept)
  --port N              port on 127.0.0.1 (default 0: a free one)
  --control-port N      control port on 127.0.0.1 (default 0: a free one)
  --key K               token of the private app (default: random, kept in DIR)
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
  status: { needed: { status: isFailure }, optional: { retryAfter: isCount } },
  truncate: {},
  reset: {},
  hang: {},
  garbage: {},
};

/// One corporate deal, one without a company, one without contacts.
const CRM = {
  deals: {
    16586605456: { properties: { dealname: 'ACME Annual Platform', dealstage: 'closedwon', amount: '120000' },
      companies: ['501'], contacts: ['701', '702'] },
    16586605457: { properties: { dealname: 'Nameless', dealstage: 'appointmentscheduled' },
      companies: [], contacts: ['703'] },
    16586605458: { properties: { dealname: 'Lonely', dealstage: 'qualifiedtobuy' },
      companies: ['502'], contacts: [] },
  },
  companies: {
    501: { name: 'ACME Corp', domain: 'acme.com', website: 'https://www.acme.com/', logo: null },
    502: { name: null, company: 'Umbrella', domain: null, website: 'https://www.umbrella.example/about',
      logo: 'https://cdn.umbrella.example/logo.png' },
  },
  contacts: {
    701: { email: 'wile@acme.com' }, 702: { email: 'Road@Runner.Example' }, 703: { email: null },
  },
};

/// Starts the stand-in; {url, control, key, close()}.
export async function startHubSpot({ state, port = 0, controlPort = 0, key } = {}) {
  const crm = structuredClone(CRM);
  const parts = { crm, key: key ?? keptKey(state), faults: new Faults(FAULTS), log: new RequestLog() };
  const api = createApi(parts);
  const control = createControl(parts);
  const servers = [await listen(api, port), await listen(control, controlPort)];
  return {
    url: `http://127.0.0.1:${api.address().port}`,
    control: `http://127.0.0.1:${control.address().port}`,
    key: parts.key,
    crm,
    faults: parts.faults,
    log: parts.log,
    close: () => { parts.faults.clear(); return Promise.all(servers.map(close)); },
  };
}

function keptKey(state) {
  const fresh = `pat-na1-${randomUUID()}-${randomBytes(4).toString('hex')}`;
  if (!state) return fresh;
  const file = join(state, 'key');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  if (!existsSync(file)) writeFileSync(file, fresh, { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function createControl({ crm, faults, log }) {
  return createCommands({
    'GET /health': () => ({ status: 'ok' }),
    'GET /crm': () => crm,
    'PATCH /crm': done((body) => { for (const kind of Object.keys(crm)) Object.assign(crm[kind], body[kind]); }),
    'GET /faults': () => faults.pending,
    'POST /faults': done((body) => faults.add(body)),
    'DELETE /faults': done(() => faults.clear()),
    'GET /requests': () => log.entries,
    'DELETE /requests': done(() => log.clear()),
  });
}

function createApi({ crm, key, faults, log }) {
  const server = http.createServer(async (request, response) => {
    const entry = log.open(request, { fault: null });
    const fault = faults.take(request.url);
    entry.fault = fault?.kind ?? null;
    const body = await text(request);
    const answer = await misbehave(fault, respond(request, body, crm, key),
      { socket: request.socket, faults, status: (code, after) => failure(code, 'a fault', after) });
    if (!answer || response.destroyed) return;
    entry.status = answer.status;
    const bytes = Buffer.from(answer.body);
    response.writeHead(answer.status, { ...answer.headers, 'Content-Length': bytes.length });
    if (!answer.truncated) return void response.end(bytes);
    response.write(bytes.subarray(0, bytes.length >> 1), () => response.socket?.end());
  });
  server.keepAliveTimeout = 180_000;
  return server;
}

const json = (body, status = 200) =>
  ({ status, headers: { 'Content-Type': 'application/json;charset=utf-8' }, body: JSON.stringify(body) });
const CATEGORIES = { 401: 'INVALID_AUTHENTICATION', 404: 'OBJECT_NOT_FOUND', 429: 'RATE_LIMITS' };

function failure(status, message, retryAfter) {
  const answer = json({ status: 'error', message, correlationId: randomUUID(),
    category: CATEGORIES[status] ?? 'VALIDATION_ERROR' }, status);
  if (retryAfter !== undefined) answer.headers['Retry-After'] = String(retryAfter);
  return answer;
}

function respond(request, body, crm, key) {
  if (request.headers.authorization !== `Bearer ${key}`)
    return failure(401, 'Authentication credentials not found.');
  const { pathname, searchParams } = new URL(request.url, 'http://hubspot');
  if (pathname === '/crm/v3/objects/contacts/batch/read')
    return request.method === 'POST' ? batch(request, body, crm.contacts) : failure(405, 'Method not allowed');
  if (request.method !== 'GET') return failure(405, 'Method not allowed');
  const [, kind, id, more] =
    /^\/crm\/v3\/objects\/(deals|companies|contacts)\/(\d+)(\/associations\/contacts)?$/.exec(pathname) ?? [];
  const found = crm[kind]?.[id];
  if (!found || (more && kind !== 'deals')) return failure(404, `Object not found. objectId are ${id}`);
  if (more) return json(page(found.contacts, searchParams));
  if (kind === 'deals') return json(deal(id, found, searchParams.get('associations') === 'company'));
  return json({ id, properties: picked(found, searchParams), archived: false });
}

/// "Batch read": 1 to 100 inputs; 207 when some of them are gone.
function batch(request, body, contacts) {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) return failure(415, 'Unsupported Media Type');
  let asked;
  try { asked = JSON.parse(body); } catch { return failure(400, 'Invalid input JSON'); }
  const { inputs, properties } = asked ?? {};
  const sound = Array.isArray(inputs) && inputs.length >= 1 && inputs.length <= 100 && Array.isArray(properties) &&
    inputs.every(({ id }) => typeof id === 'string');
  if (!sound) return failure(400, 'Batch read takes 1 to 100 inputs, each with its id, and a list of properties');
  const found = inputs.filter(({ id }) => id in contacts), gone = inputs.length - found.length;
  const results = found.map(({ id }) => ({ id, archived: false, properties: { hs_object_id: id,
    ...Object.fromEntries(properties.filter((name) => name in contacts[id]).map((name) => [name, contacts[id][name]])) } }));
  const now = new Date().toISOString();
  return json({ status: 'COMPLETE', results, startedAt: now, completedAt: now,
    ...(gone > 0 ? { numErrors: 1, errors: [{ status: 'error', category: 'OBJECT_NOT_FOUND' }] } : {}) }, gone > 0 ? 207 : 200);
}

/// Properties are opt-in.
const picked = (all, query) => Object.fromEntries((query.get('properties') ?? '').split(',')
  .filter((name) => name in all).map((name) => [name, all[name]]));

function deal(id, { properties, companies }, withCompany) {
  const associations = withCompany && companies.length > 0 ? { associations: { companies: { results:
    companies.flatMap((company) => ['deal_to_company', 'deal_to_company_unlabeled']
      .map((type) => ({ id: company, type }))) } } } : {};
  return { id, properties: { ...properties, hs_object_id: id }, archived: false, ...associations };
}

function page(contacts, query) {
  const limit = Number(query.get('limit') ?? 500), from = Number(query.get('after') ?? 0);
  const results = contacts.slice(from, from + limit).map((id) => ({ id, type: 'deal_to_contact' }));
  const more = from + limit < contacts.length;
  return { results, ...(more ? { paging: { next: { after: String(from + limit) } } } : {}) };
}

async function main() {
  const values = readFlags(FLAGS);
  if (values.help) return console.log(USAGE);
  const server = await startHubSpot({ state: values.state, key: values.key,
    port: number(values, 'port', 65535), controlPort: number(values, 'control-port', 65535) });
  const { url, control, key } = server;
  return serve(server, { url, control, key }, { dieWithParent: values['die-with-parent'] });
}

runIfMain(import.meta.url, 'hubspot.mjs', USAGE, main);

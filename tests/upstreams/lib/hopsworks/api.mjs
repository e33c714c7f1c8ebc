import http from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCount, isFailure } from '../faults.mjs';
import { Refused } from './deployment.mjs';

/// The part of Hopsworks' REST API that the product uses, strict about what it is sent.

const BASE = '/hopsworks-api/api';

/// Faults of the API. `reset` comes before anything was done, `reset-after` when it was.
export const HOPSWORKS_FAULTS = {
  latency: { needed: { ms: isCount } },
  status: { needed: { status: isFailure }, optional: { retryAfter: isCount } },
  reset: {},
  'reset-after': {},
  hang: {},
  truncate: {},
  garbage: {},
  empty: {},
};
const NOTHING_DONE = ['status', 'reset', 'hang'];

export function createApi({ deployment, apiKey, identity, faults, log }) {
  const server = identity ? https.createServer({ ...identity.server }) : http.createServer();
  server.keepAliveTimeout = 60_000;
  server.on('request', async (request, response) => {
    const body = await readText(request);
    const known = request.headers.authorization === `ApiKey ${apiKey}`;
    const entry = log.open(request, { keyOk: known, body, fault: null });
    const fault = faults.take(`${request.method} ${request.url}`);
    entry.fault = fault?.kind ?? null;
    const answer = NOTHING_DONE.includes(fault?.kind)
      ? null : respond(request, body, { deployment, known });
    if (fault?.kind === 'latency') await sleep(fault.ms);
    if (response.destroyed) return;
    if (fault?.kind === 'hang') return faults.hang(request.socket);
    if (['reset', 'reset-after'].includes(fault?.kind)) return request.socket.destroy();
    const said = bent(fault, answer);
    entry.status = said.status;
    send(response, said);
  });
  return server;
}

function bent(fault, answer) {
  switch (fault?.kind) {
    case 'status': {
      const { status, retryAfter } = fault;
      const said = refusal(new Refused(status, 120000, 'A generic error occurred.'));
      return { ...said, headers: retryAfter === undefined ? {} : { 'Retry-After': retryAfter } };
    }
    case 'garbage':
      return { status: 200, text: '{"items":[{"id":10000,"username":"ana' };
    case 'empty':
      return { status: 200, text: '{"count":0}' };
    case 'truncate':
      return { ...answer, truncated: true };
    default:
      return answer;
  }
}

function respond(request, body, { deployment, known }) {
  try {
    if (!known) throw new Refused(401, 200003, 'Invalid API key.');
    const url = new URL(request.url, 'http://hopsworks');
    if (!url.pathname.startsWith(BASE)) throw new Refused(404, 120001, 'Not found.');
    const name = `${request.method} ${url.pathname.slice(BASE.length)}`;
    for (const [pattern, act] of ROUTES) {
      const found = pattern.exec(name);
      if (!found) continue;
      const names = found.slice(1).map(decodeURIComponent);
      return act({ deployment, names, query: url.searchParams, request, body });
    }
    throw new Refused(404, 120001, 'Not found.');
  } catch (error) {
    if (error instanceof Refused) return refusal(error);
    console.error(error);
    return refusal(new Refused(500, 120000, 'A generic error occurred.'));
  }
}

const ROUTES = [
  [/^GET \/admin\/users$/, ({ deployment, query, body }) => {
    only(query, ['filter_by']);
    noBody(body);
    const type = query.get('filter_by')?.replace(/^type:/i, '');
    const users = deployment.users.filter(({ accountType }) => !type || accountType === type);
    return list('/admin/users', users.map(shownUser));
  }],
  // Only numbers: a username is unknown here.
  [/^GET \/admin\/users\/([^/]+)$/, ({ deployment, names: [id], query, body }) => {
    only(query, []);
    noBody(body);
    const user = deployment.findUser(Number(id));
    if (!user) throw new Refused(404, 160002, 'User not found.');
    return json(200, shownUser(deployment.userOf(user)));
  }],
  [/^POST \/admin\/users$/, ({ deployment, query, body }) => {
    noBody(body);
    const needed = ['accountType', 'email', 'givenName', 'surname', 'maxNumProjects', 'subject',
      'clientId', 'type'];
    only(query, needed);
    for (const name of needed)
      if (!query.get(name)) throw new Refused(400, 160041, `${name} is missing.`);
    if (query.get('accountType') !== 'REMOTE_ACCOUNT_TYPE' || query.get('type') !== 'OAUTH2')
      throw new Refused(400, 160041, 'Illegal account type.');
    if (!/^\d+$/.test(query.get('maxNumProjects')))
      throw new Refused(400, 160041, 'Illegal maxNumProjects.');
    if (!/^[^@\s]+@[^@\s]+$/.test(query.get('email')))
      throw new Refused(400, 160041, 'Illegal email.');
    const user = deployment.addUser({ email: query.get('email'), firstname: query.get('givenName'),
      lastname: query.get('surname'), maxNumProjects: Number(query.get('maxNumProjects')),
      subject: query.get('subject'), clientId: query.get('clientId') });
    // Without the id, as the real one.
    return json(201, { uuid: user.subject, givenName: user.firstname, surname: user.lastname,
      email: user.email, username: user.username });
  }],
  [/^PUT \/admin\/users\/(\d+)$/, ({ deployment, names: [id], query, request, body }) => {
    only(query, []);
    const change = readJson(request, body);
    const names = Object.keys(change);
    if (names.length !== 1 || !['status', 'maxNumProjects'].includes(names[0]))
      throw new Refused(400, 160041, 'Either status or maxNumProjects.');
    deployment.changeUser(Number(id), change);
    return json(200, shownUser(deployment.userOf(deployment.findUser(Number(id)))));
  }],
  [/^GET \/admin\/projects$/, ({ deployment, query, body }) => {
    only(query, ['expand']);
    noBody(body);
    const expanded = query.get('expand') === 'creator';
    return list('/admin/projects', deployment.projects.map(({ id, name, created, creator }) => ({
      href: `${BASE}/admin/projects/${id}`, id, name, created,
      creator: expanded ? shownUser(deployment.userOf(deployment.findUser(creator)))
        : { href: `${BASE}/users/${creator}` },
    })));
  }],
  [/^POST \/admin\/projects\/createas$/, ({ deployment, query, request, body }) => {
    only(query, []);
    const { owner, projectName, services } = readJson(request, body);
    if (!owner || !projectName || !Array.isArray(services))
      throw new Refused(400, 120012, 'owner, projectName and services are needed.');
    const { id } = deployment.addProject({ name: projectName, owner });
    return json(201, { id, successMessage: 'Project created successfully.' });
  }],
  [/^POST \/project\/(\d+)\/projectMembers\/([^/]+)$/,
    ({ deployment, names: [id, email], query, request, body }) => {
      only(query, []);
      deployment.addMember(Number(id), email, readJson(request, body).projectTeam);
      return json(200, { successMessage: 'One member added successfully.' });
    }],
];

function shownUser({ id, subject, clientId, ...user }) {
  return { href: `${BASE}/users/${id}`, id, ...user };
}

function only(query, names) {
  for (const name of query.keys())
    if (!names.includes(name)) throw new Refused(400, 120012, `Unknown parameter ${name}.`);
}
function noBody(body) {
  if (body !== '') throw new Refused(400, 120012, 'No body is expected.');
}
function readJson(request, body) {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
    throw new Refused(415, 120012, 'Unsupported media type.');
  try {
    return Object(JSON.parse(body));
  } catch {
    throw new Refused(400, 120012, 'No JSON.');
  }
}

const json = (status, value) => ({ status, text: JSON.stringify(value) });
// An empty list is left out, as the real one does it.
const list = (path, items) =>
  json(200, { href: `${BASE}${path}`, ...(items.length && { items }), count: items.length });
const refusal = ({ status, errorCode, message }) =>
  json(status, { errorCode, errorMsg: message, usrMsg: message });

async function readText(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function send(response, { status, headers, text, truncated }) {
  const bytes = Buffer.from(text);
  response.writeHead(status,
    { 'Content-Type': 'application/json', ...headers, 'Content-Length': bytes.length });
  if (!truncated) return response.end(bytes);
  return response.write(bytes.subarray(0, bytes.length >> 1), () => response.socket?.end());
}

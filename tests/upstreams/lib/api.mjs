import { randomUUID } from 'node:crypto';
import https from 'node:https';
import { misbehave } from './faults.mjs';
import { failure, json, parseProxyPath, version } from './kubernetes.mjs';
import { BadRequest, parseQuery } from './query.mjs';

/// The TLS server the product talks to: a Kubernetes API server with OpenCost behind its proxy.

export function createApi({ identity, store, faults, log }) {
  const server = https.createServer({
    ...identity.server,
    ca: identity.ca,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  });
  // An API server keeps idle connections for minutes; node's 5 seconds would be a fault of its own.
  server.keepAliveTimeout = 180_000;
  server.on('request', async (request, response) => {
    const caller = authenticate(request, identity);
    const entry = log.open(request, { tokenOk: caller === 'known', fault: null });
    const fault = faults.take(request.url);
    entry.fault = fault?.kind ?? null;
    request.resume();
    const answer = await misbehave(fault, respond(request, caller, store), {
      socket: request.socket,
      faults,
      status: (code, retryAfter) => failure(code, { retryAfter }),
    });
    if (!answer || response.destroyed) return;
    entry.status = answer.status;
    send(response, answer);
  });
  return server;
}

// 'known', 'anonymous' (no credentials at all) or 'refused'.
function authenticate(request, { token }) {
  const { authorization } = request.headers;
  if (authorization !== undefined) return authorization === `Bearer ${token}` ? 'known' : 'refused';
  return request.socket.authorized ? 'known' : 'anonymous';
}

function respond(request, caller, store) {
  const [path, query = ''] = request.url.split(/\?(.*)/s);
  // As on a real cluster: the version is for everybody, except for those with bad credentials.
  const isPublic = path === '/version' && caller === 'anonymous';
  if (caller !== 'known' && !isPublic) return failure(401);
  if (request.method !== 'GET') return failure(405);
  if (path === '/version') return version();
  try {
    return proxy(path, new URLSearchParams(query), store);
  } catch (error) {
    // Data a test has put in may be anything; what it breaks is one answer and not the server.
    console.error(error);
    return failure(500, { message: error.message });
  }
}

function proxy(path, parameters, store) {
  const target = parseProxyPath(path);
  if (!target) return failure(404);
  if (target.namespace !== 'opencost' || target.service !== 'opencost') {
    return failure(404, { message: `services "${target.service}" not found` });
  }
  if (target.port !== '9003') {
    return failure(503, { message: `no service port "${target.port}" found for "opencost"` });
  }
  if (!/^\/allocation(\/compute)?$/.test(target.rest)) return failure(404);
  return compute(parameters, store);
}

function compute(parameters, store) {
  try {
    const query = parseQuery(parameters);
    return json(store.reply ?? { code: 200, status: 'success', data: store.query(query) });
  } catch (error) {
    if (!(error instanceof BadRequest)) throw error;
    return {
      status: 400,
      headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
      body: `${error.message}\n`,
    };
  }
}

function send(response, { status, headers, body, truncated }) {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'Audit-Id': randomUUID(),
    'Cache-Control': 'no-cache, private',
    ...headers,
    'Content-Length': bytes.length,
  });
  if (!truncated) return response.end(bytes);
  // The connection ends in good order, so that only the missing bytes give the fault away.
  return response.write(bytes.subarray(0, bytes.length >> 1), () => response.socket?.end());
}

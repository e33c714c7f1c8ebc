import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCount, isFailure, isFlag } from '../faults.mjs';
import { API_VERSION, newId } from './account.mjs';
import {
  StripeError,
  apiError,
  invalid,
  lockTimeout,
  rateLimited,
  unauthorized,
  unrecognizedUrl,
} from './errors.mjs';
import { expand } from './expand.mjs';
import { canonical, parseForm } from './form.mjs';
import { servePage } from './page.mjs';
import { read } from './params.mjs';
import { ROUTES } from './routes.mjs';

/// The port that answers as api.stripe.com does, and shows the pages of checkout.stripe.com.

const FORM = 'application/x-www-form-urlencoded';

export const FAULTS = {
  latency: { needed: { ms: isCount } },
  status: {
    needed: { status: isFailure },
    optional: { retryAfter: isCount, stored: isFlag, applied: isFlag },
  },
  'reset-before': {},
  'reset-after-apply': {},
  hang: {},
  truncate: {},
};

export function createApi(parts) {
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      serve(parts, request, response, Buffer.concat(chunks).toString('utf8')).catch((error) => {
        console.error(error);
        response.destroy();
      });
    });
  });
  // Node's five seconds would end connections that Stripe keeps.
  server.keepAliveTimeout = 180_000;
  return server;
}

async function serve(parts, request, response, body) {
  const { faults, log, account, keeper } = parts;
  keeper.touch();
  const { method, url } = request;
  const fault = faults.take(`${method} ${url}`);
  const call = {
    id: newId('req', 14),
    method,
    url,
    body,
    headers: request.headers,
    fault,
    response,
  };
  [call.path, call.query = ''] = url.split(/\?(.*)/s);
  const entry = log.open(request, {
    authorized: isKey(request.headers.authorization, parts.secretKey),
    requestId: call.id,
    idempotencyKey: request.headers['idempotency-key'] ?? null,
    body,
    replayed: false,
    fault: fault?.kind ?? null,
  });
  if (fault?.kind === 'reset-before') return request.socket.destroy();
  const answer =
    servePage(account, method, call.path, body) ?? (await respond(parts, call, entry.authorized));
  if (!answer || response.destroyed) return undefined;
  if (fault?.kind === 'reset-after-apply') return request.socket.destroy();
  Object.assign(entry, { status: answer.status, replayed: answer.replayed ?? false });
  return send(response, answer, fault?.kind === 'truncate');
}

// null when nothing is to be sent.
async function respond(parts, call, isAuthorized) {
  let ticket;
  try {
    const { route, ids } = admit(parts, call, isAuthorized);
    const failure = failureOf(call.fault);
    // Nothing was begun: as from a gateway in front of Stripe.
    if (failure && !call.fault.stored && !call.fault.applied) return refusal(call, failure);
    const given = call.method === 'POST' ? call.body : call.query || call.body;
    ticket = begin(parts, call, given);
    if (ticket.answer) return replayed(call, ticket.answer);
    const { expand: paths, ...params } = read(route.params, parseForm(given));
    const answer = await guarded(parts, call, route, params, async () =>
      (await delay(parts, call, route))
        ? work(parts, call, failure, () =>
            expand(parts.account, route.act(parts.account, params, ...ids), paths),
          )
        : null,
    );
    ticket.settle(answer?.stored ? answer : undefined);
    return answer;
  } catch (error) {
    ticket?.settle?.();
    return refusal(call, error);
  }
}

/// Everything that is checked before the parameters.
function admit({ settings, limiter }, { method, path, query, body, headers }, isAuthorized) {
  const { authorization } = headers;
  if (!isAuthorized) throw unauthorized(authorization ? wrongKey(authorization) : NO_KEY);
  if (limiter.isOver(settings.rateLimit)) throw rateLimited();
  const version = headers['stripe-version'];
  if (version !== undefined && version !== API_VERSION) {
    throw invalid(`Invalid Stripe API version: ${version}. The stand-in speaks ${API_VERSION}.`);
  }
  const found = findRoute(method, path);
  if (!found) throw unrecognizedUrl(method, path);
  const type = headers['content-type']?.split(';')[0].trim().toLowerCase();
  if (body !== '' && type !== FORM) {
    throw invalid(
      `Invalid request (check that your POST content type is ${FORM}). If you have any questions, we can `
        + 'help at https://support.stripe.com/.',
    );
  }
  if (method === 'POST' && query)
    throw invalid('The stand-in wants the parameters of a POST in its body.');
  if (method === 'GET' && body)
    throw invalid('The stand-in wants the parameters of a GET in its query.');
  if (method === 'POST' && settings.requireIdempotencyKey && !headers['idempotency-key']) {
    throw invalid(
      'The stand-in wants an Idempotency-Key with every POST (option requireIdempotencyKey).',
    );
  }
  return found;
}

function begin({ idempotency }, { method, path, headers }, given) {
  const key = headers['idempotency-key'];
  if (method !== 'POST' || !key) return { settle() {} };
  return idempotency.begin(key, path, canonical(given));
}

// One at a time for what the route locks.
async function guarded({ locks }, call, route, params, act) {
  const lock = route.lock?.(params);
  if (lock === undefined) return act();
  if (locks.has(lock)) throw lockTimeout();
  locks.add(lock);
  try {
    return await act();
  } finally {
    locks.delete(lock);
  }
}

// Whether the request is to go on at all.
async function delay({ settings, faults }, { fault, response }, route) {
  if (fault?.kind === 'latency') await sleep(fault.ms);
  if (route.lock && settings.meterMs > 0) await sleep(settings.meterMs);
  if (fault?.kind !== 'hang') return true;
  await new Promise((closed) => {
    response.socket.once('close', closed);
    faults.hang(response.socket);
  });
  return false;
}

function work({ account }, call, failure, act) {
  const { stored = false, applied = false } = call.fault ?? {};
  if (failure && !applied) return failed(call, failure, stored);
  account.request = { id: call.id, idempotency_key: call.headers['idempotency-key'] ?? null };
  try {
    const result = act();
    return failure ? failed(call, failure, stored) : { ...reply(call, 200, result), stored: true };
  } catch (error) {
    return refusal(call, error);
  } finally {
    account.request = { id: null, idempotency_key: null };
  }
}

function failureOf(fault) {
  if (fault?.kind !== 'status') return undefined;
  return fault.status === 429
    ? rateLimited(fault.retryAfter)
    : apiError(fault.status, fault.retryAfter);
}

function failed(call, error, stored) {
  const answer = { ...refusal(call, error), stored };
  // Sending it again would only replay it.
  if (stored) answer.headers['Stripe-Should-Retry'] = 'false';
  return answer;
}

function refusal(call, error) {
  const known = error instanceof StripeError ? error : apiError(500);
  if (known !== error) console.error(error);
  return { ...reply(call, known.status, known.body(call.id), known.headers), stored: known.stored };
}

function reply({ id, headers }, status, value, more) {
  const key = headers['idempotency-key'];
  return {
    status,
    headers: {
      'Content-Type': 'application/json',
      'Request-Id': id,
      'Stripe-Version': API_VERSION,
      ...(key && { 'Idempotency-Key': key, 'Original-Request': id }),
      ...more,
    },
    body: JSON.stringify(value, null, 2),
  };
}

const replayed = ({ id }, answer) => ({
  ...answer,
  replayed: true,
  headers: { ...answer.headers, 'Request-Id': id, 'Idempotent-Replayed': 'true' },
});

function send(response, { status, headers, body }, isTruncated) {
  const bytes = Buffer.from(body, 'utf8');
  response.writeHead(status, { ...headers, 'Content-Length': bytes.length });
  if (!isTruncated) return response.end(bytes);
  // The connection ends in good order, so that only the missing bytes give the fault away.
  return response.write(bytes.subarray(0, bytes.length >> 1), () => response.socket?.end());
}

// -- keys -----------------------------------------------------------------------------------------

const NO_KEY =
  'You did not provide an API key. You need to provide your API key in the Authorization header, using '
  + "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details.";

// Bearer, or Basic with the key as the user and no password.
function keyOf(authorization = '') {
  const [scheme, value = ''] = authorization.split(' ');
  return scheme === 'Basic'
    ? Buffer.from(value, 'base64').toString().replace(/:$/, '')
    : scheme === 'Bearer'
      ? value
      : '';
}

const isKey = (authorization, secretKey) => keyOf(authorization) === secretKey;

const wrongKey = (authorization) =>
  `Invalid API Key provided: ${keyOf(authorization).replace(/^((?:[a-z]+_)*)(.*)(.{4})$/, '$1********$3')}`;

// -- finding the route ----------------------------------------------------------------------------

const EXACT = new Map();
const PATTERNS = [];
for (const route of ROUTES) {
  if (!route.path.includes(':')) EXACT.set(`${route.method} ${route.path}`, { route, ids: [] });
  else
    PATTERNS.push({
      route,
      pattern: new RegExp(`^${route.path.replaceAll(':id', '([A-Za-z0-9_]+)')}$`),
    });
}

function findRoute(method, path) {
  const exact = EXACT.get(`${method} ${path}`);
  if (exact) return exact;
  for (const { route, pattern } of PATTERNS) {
    const match = route.method === method && pattern.exec(path);
    if (match) return { route, ids: match.slice(1) };
  }
  return undefined;
}

/// Counts requests per second of the machine's clock.
export class Limiter {
  #second = 0;
  #count = 0;

  isOver(limit) {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) [this.#second, this.#count] = [second, 0];
    this.#count += 1;
    return limit !== null && this.#count > limit;
  }
}

import http from 'node:http';
import { parseTime } from './time.mjs';

/// The plain HTTP port on 127.0.0.1 through which tests command the stand-in.

const LARGEST_BODY = 64 * 2 ** 20;

export function createControl({ store, faults, log }) {
  const done = (act) => (body) => {
    act(body);
    return { ok: true };
  };
  const routes = {
    'GET /health': () => ({ status: 'ok' }),
    'GET /faults': () => faults.pending,
    'POST /faults': done((body) => faults.add(body)),
    'DELETE /faults': done(() => faults.clear()),
    'GET /requests': () => log.entries,
    'DELETE /requests': done(() => log.clear()),
    'POST /data': done((body) => store.replace(body)),
    'PATCH /data': done((body) => store.overlay(body)),
    'DELETE /data': done(() => store.reset()),
    'GET /options': () => store.options,
    'POST /options': done((body) => store.configure(readOptions(body))),
  };
  return http.createServer(async (request, response) => {
    const answer = (status, value) => {
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(`${JSON.stringify(value)}\n`);
    };
    const name = `${request.method} ${request.url}`;
    if (!Object.hasOwn(routes, name)) {
      return answer(404, { error: `${name} is none of ${Object.keys(routes).join(', ')}` });
    }
    try {
      return answer(200, routes[name](await readBody(request)));
    } catch (error) {
      // Everything thrown here tells the author of a test what is wrong with the command.
      return answer(400, { error: error.message });
    }
  });
}

const isShare = (value) => typeof value === 'number' && value >= 0 && value <= 1;
const OPTIONS = {
  nulls: (value) => (isShare(value) ? value : undefined),
  nullSets: (value) => (isShare(value) ? value : undefined),
  now: (value) => (value === null ? null : parseTime(value)),
  from: (value) => (value === null ? null : parseTime(value)),
};

function readOptions(body) {
  return Object.fromEntries(Object.entries(body).map(([name, value]) => {
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name](value) : undefined;
    if (option === undefined) throw new TypeError(`bad option ${name}: ${JSON.stringify(value)}`);
    return [name, option];
  }));
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    if ((size += chunk.length) > LARGEST_BODY) throw new RangeError('body is too large');
    chunks.push(chunk);
  }
  return chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

import https from 'node:https';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOpenCost } from '../opencost.mjs';

/// What the stand-in's own tests share: a running server and a client that trusts its CA only.

export const COMPUTE =
  '/api/v1/namespaces/opencost/services/opencost:9003/proxy/allocation/compute';

export function temporaryDirectory(test) {
  const path = mkdtempSync(join(tmpdir(), 'stand-in-'));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/// Started for one test; the server has `get`, `compute` and `command` added.
export async function started(test, options = {}) {
  const state = options.state ?? temporaryDirectory(test);
  const server = await startOpenCost({ namespaces: ['analytics'], ...options, state });
  test.after(() => server.close());
  const ca = readFileSync(join(state, 'pki', 'ca.crt'));
  const get = (path, { token = server.token, ...more } = {}) =>
    request(`${server.url}${path}`, {
      ca, headers: token ? { authorization: `Bearer ${token}` } : {}, ...more,
    });
  return {
    ...server,
    state,
    get,
    compute: (query, more) => get(`${COMPUTE}?${query}`, more),
    command: (method, path, body) => command(`${server.control}${path}`, method, body),
  };
}

/// {status, headers, body}; rejects when the answer does not arrive whole.
export function request(url, options) {
  return new Promise((resolve, reject) => {
    const sent = https.request(url, { agent: false, ...options }, async (answer) => {
      try {
        const chunks = [];
        for await (const chunk of answer) chunks.push(chunk);
        const body = Buffer.concat(chunks).toString('utf8');
        resolve({ status: answer.statusCode, headers: answer.headers, body });
      } catch (error) {
        reject(error);
      }
    });
    sent.on('error', reject);
    sent.end();
  });
}

export async function command(url, method, body) {
  const answer = await fetch(url, { method, body: body && JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

/// window=… and aggregate=namespace for a range of hours of one day.
export function hours(from, to, more = '') {
  const time = (text) => `2026-01-15T${text}${text.length === 2 ? ':00' : ''}:00Z`;
  return `window=${time(from)},${time(to)}&aggregate=namespace${more}`;
}

export function dataOf(answer) {
  return JSON.parse(answer.body).data;
}

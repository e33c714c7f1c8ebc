#!/usr/bin/env node
import aws4 from 'aws4';
import { once } from 'node:events';
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { createCommands, done } from './lib/commands.mjs';
import { Faults, isCount, isFailure, misbehave } from './lib/faults.mjs';
import { RequestLog } from './lib/log.mjs';
import { close, listen, number, readFlags, runIfMain, serve } from './lib/program.mjs';

/// Cloudflare R2 over the S3 API: objects by path-style address, PUT, GET, HEAD and DELETE, with
/// Range and If-Match. Every signature is computed again by the package aws4; a request whose own
/// differs is refused. Objects may be larger than memory: of those, each 4 bytes are their number.

const USAGE = `usage: node r2.mjs [options]            serve until SIGTERM or SIGINT

  --state DIR           keep the key and the objects there (default: nothing is kept)
  --port N              port on 127.0.0.1 (default 0: a free one)
  --control-port N      control port on 127.0.0.1 (default 0: a free one)
  --die-with-parent     stop when the process that started this one is gone
  --help`;

const FLAGS = {
  state: { type: 'string' },
  port: { type: 'string', default: '0' },
  'control-port': { type: 'string', default: '0' },
  'die-with-parent': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

const FAULTS = {
  latency: { needed: { ms: isCount } },
  status: { needed: { status: isFailure }, optional: { retryAfter: isCount } },
  reset: {}, // instead of doing it
  'reset-after': {}, // having done it
  hang: {},
  truncate: {},
  stall: { needed: { after: isCount } }, // bytes of the body, and then nothing more
};

const CLOCK_SKEW = 15 * 60_000;
const digest = (algorithm, data) => createHash(algorithm).update(data).digest('hex');

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/// Throws a Refusal unless the request is signed with the key.
function verify(request, body, key) {
  const { authorization = '', 'x-amz-date': date = '' } = request.headers;
  const given = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\S+?, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
    .exec(authorization);
  if (!given) throw new Refusal(403, 'AccessDenied', 'no signature');
  const [, accessKeyId, signedHeaders, signature] = given;
  if (accessKeyId !== key.accessKeyId) throw new Refusal(403, 'InvalidAccessKeyId', 'unknown key');
  const names = signedHeaders.split(';');
  for (const name of ['host', 'x-amz-date', 'x-amz-content-sha256'])
    if (!names.includes(name)) throw new Refusal(403, 'AccessDenied', `${name} is not signed`);
  if (request.headers['x-amz-content-sha256'] !== digest('sha256', body))
    throw new Refusal(400, 'XAmzContentSHA256Mismatch', 'the body is another one');
  const at = date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z');
  if (!(Math.abs(Date.parse(at) - Date.now()) < CLOCK_SKEW))
    throw new Refusal(403, 'RequestTimeTooSkewed', 'the clocks differ');
  const again = aws4.sign({
    service: 's3', region: 'auto', method: request.method, path: request.url,
    host: request.headers.host,
    headers: Object.fromEntries(names.map((name) => [name, request.headers[name]])),
    extraHeadersToInclude: Object.fromEntries(names.map((name) => [name, true])), // Range, too
  }, key);
  const [, ours] = /Signature=([0-9a-f]{64})$/.exec(again.headers.Authorization);
  if (!timingSafeEqual(Buffer.from(ours), Buffer.from(signature)))
    throw new Refusal(403, 'SignatureDoesNotMatch', 'the signature we calculated is another one');
}

const CHUNK = 65_536;

/// Bytes [from, to) of an object in pieces.
function* piecesOf({ bytes }, from, to) {
  if (bytes) return yield bytes.subarray(from, to);
  for (let at = from - (from % CHUNK); at < to; at += CHUNK) {
    const words = new Uint32Array(CHUNK / 4);
    for (let i = 0; i < words.length; ++i) words[i] = at / 4 + i;
    yield Buffer.from(words.buffer).subarray(Math.max(from - at, 0), Math.min(to - at, CHUNK));
  }
  return undefined;
}

function restored({ bytes: text, ...rest }) {
  const bytes = text === undefined ? undefined : Buffer.from(text, 'base64');
  return { size: bytes?.length, modified: new Date().toUTCString(), ...rest, bytes };
}

class Bucket {
  #objects = new Map();
  #file;
  constructor(state) {
    this.#file = state && join(state, 'objects.json');
    if (this.#file && existsSync(this.#file))
      for (const [name, kept] of Object.entries(JSON.parse(readFileSync(this.#file, 'utf8'))))
        this.#objects.set(name, restored(kept));
  }
  get names() { return [...this.#objects.keys()].sort(); }
  get(name) { return this.#objects.get(name); }
  put(name, bytes, type) {
    this.#keep(name, { bytes, size: bytes.length, type, etag: `"${digest('md5', bytes)}"` });
  }
  /// So large, and of no particular contents.
  generate(name, size, type) {
    this.#keep(name, { size, type, etag: `"${digest('md5', `${name} ${size}`)}"` });
  }
  #keep(name, object) {
    this.#objects.set(name, { ...object, modified: new Date().toUTCString() });
    this.#save();
  }
  delete(name) {
    this.#objects.delete(name);
    this.#save();
  }
  #save() {
    if (!this.#file) return;
    const kept = [...this.#objects].map(([name, o]) => [name, { ...o, bytes: o.bytes?.toString('base64') }]);
    writeFileSync(this.#file, JSON.stringify(Object.fromEntries(kept)));
  }
}

/// What a Range asks for: {from, to}, half open.
function rangeOf(text, size) {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (!first && !last) return { from: 0, to: size };
  const from = first ? Number(first) : Math.max(size - Number(last), 0);
  const to = first && last ? Math.min(Number(last) + 1, size) : size;
  if (from >= to) throw new Refusal(416, 'InvalidRange', 'The requested range is not satisfiable.');
  return { from, to, isPart: true };
}

function answerTo(request, body, objects) {
  const name = request.url.slice(1);
  if (!/^[^/?]+\/[^?]+$/.test(name)) throw new Refusal(400, 'InvalidRequest', 'no object named');
  const found = objects.get(name);
  switch (request.method) {
    case 'PUT':
      objects.put(name, body, request.headers['content-type'] ?? 'binary/octet-stream');
      return { status: 200, headers: { ETag: objects.get(name).etag }, body: '' };
    case 'DELETE':
      objects.delete(name);
      return { status: 204, headers: {}, body: '' };
    case 'GET':
    case 'HEAD':
      if (!found) throw new Refusal(404, 'NoSuchKey', 'The specified key does not exist.');
      return getObject(request, found);
    default:
      throw new Refusal(405, 'MethodNotAllowed', 'The specified method is not allowed.');
  }
}

function getObject(request, object) {
  const { 'if-match': wanted, range } = request.headers;
  if (wanted && wanted !== object.etag)
    throw new Refusal(412, 'PreconditionFailed', 'At least one of the preconditions did not hold.');
  const { from, to, isPart } = rangeOf(range, object.size);
  const headers = { ETag: object.etag, 'Content-Type': object.type, 'Accept-Ranges': 'bytes',
    'Last-Modified': object.modified, 'Content-Length': to - from };
  if (isPart) headers['Content-Range'] = `bytes ${from}-${to - 1}/${object.size}`;
  return { status: isPart ? 206 : 200, headers, pieces: piecesOf(object, from, to) };
}

const errorOf = ({ status, code, message }) => ({
  status,
  headers: { 'Content-Type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});

/// As fast as they are taken; `entry` tells how many bytes have been, and whether all.
async function sendPieces(response, pieces, most, entry) {
  entry.sent = 0;
  const gone = once(response, 'close').then(() => { entry.end = response.writableFinished ? 'whole' : 'cut'; });
  for (const piece of pieces) {
    const some = piece.subarray(0, most - entry.sent);
    if (entry.end || some.length === 0) return;
    if (!response.write(some)) await Promise.race([once(response, 'drain'), gone]);
    entry.sent += some.length;
  }
}

function createApi({ key, objects, faults, log }) {
  return http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const entry = log.open(request, { range: request.headers.range });
    const { socket } = request;
    const fault = faults.take(`${request.method} ${request.url}`);
    if (fault?.kind === 'reset') return socket.destroy();
    let answer;
    try {
      verify(request, body, key);
      answer = fault?.kind === 'status'
        ? errorOf({ status: fault.status, code: 'ServiceUnavailable', message: 'Reduce your rate.' })
        : answerTo(request, body, objects);
      if (fault?.retryAfter !== undefined) answer.headers['Retry-After'] = `${fault.retryAfter}`;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = errorOf(error);
    }
    if (fault?.kind === 'reset-after') return socket.destroy();
    const bent = fault?.kind === 'status' ? answer : await misbehave(fault, answer, { socket, faults });
    if (!bent) return undefined;
    entry.status = bent.status;
    const length = bent.headers['Content-Length'] ?? Buffer.byteLength(bent.body);
    response.writeHead(bent.status, { ...bent.headers, 'Content-Length': length });
    if (request.method === 'HEAD') return response.end();
    const most = bent.truncated ? Math.floor(length / 2) : fault?.kind === 'stall' ? fault.after : length;
    await sendPieces(response, bent.pieces ?? [Buffer.from(bent.body)], most, entry);
    if (most === length) return response.end();
    return fault.kind === 'stall' ? faults.hang(socket) : socket.destroySoon();
  });
}

function loadKey(state) {
  const file = state && join(state, 'key.json');
  if (file && existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const key = { accessKeyId: randomBytes(16).toString('hex'), secretAccessKey: randomBytes(32).toString('hex') };
  if (file) writeFileSync(file, JSON.stringify(key), { mode: 0o600 });
  return key;
}

/// Starts the stand-in; {url, control, key: {accessKeyId, secretAccessKey}, close()}.
export async function startR2({ state, port = 0, controlPort = 0 } = {}) {
  if (state) mkdirSync(state, { recursive: true });
  const parts = {
    key: loadKey(state), objects: new Bucket(state), faults: new Faults(FAULTS), log: new RequestLog(),
  };
  const { objects, faults, log } = parts;
  const control = createCommands({
    'GET /health': () => ({ status: 'ok' }),
    'GET /faults': () => faults.pending,
    'POST /faults': done((body) => faults.add(body)),
    'DELETE /faults': done(() => faults.clear()),
    'GET /requests': () => log.entries,
    'DELETE /requests': done(() => log.clear()),
    'GET /objects': () => objects.names,
    'POST /objects': done(({ name, type, base64, size }) => (size === undefined
      ? objects.put(name, Buffer.from(base64, 'base64'), type) : objects.generate(name, size, type))),
  });
  const servers = [await listen(createApi(parts), port), await listen(control, controlPort)];
  const [url, commands] = servers.map((server) => `http://127.0.0.1:${server.address().port}`);
  return { url, control: commands, key: parts.key, close: () => Promise.all(servers.map(close)) };
}

async function main() {
  const values = readFlags(FLAGS);
  if (values.help) return console.log(USAGE);
  const server = await startR2({
    state: values.state,
    port: number(values, 'port', 65535),
    controlPort: number(values, 'control-port', 65535),
  });
  const { url, control, key } = server;
  return serve(server, { url, control, ...key }, { dieWithParent: values['die-with-parent'] });
}

runIfMain(import.meta.url, 'r2.mjs', USAGE, main);

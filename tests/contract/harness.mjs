/// Runs the real binary on a private PostgreSQL cluster in a directory of its own, and the stand-in
/// for OpenCost. Whatever happens to the test's process, a reaper ends what was started and removes
/// the directory. Every answer, and every body that was accepted, is compared with openapi.yaml: `npm ci`
/// in tests/openapi, once.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { complaint, objection } from '../openapi/validator.mjs';

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const standInProgram = join(repository, 'tests/upstreams/opencost.mjs');
export const binary = process.env.BINNACLE_BINARY
  ? resolve(process.env.BINNACLE_BINARY)
  : ['build/debug/binnacle', 'build/release/binnacle']
    .map((path) => join(repository, path)).find(existsSync) ?? 'build/debug/binnacle: build it first';

const PATIENCE = 60_000;
export const PASSWORD = 'correct horse battery';
export const HOUR = 3_600_000;
export const startOfHour = (time = Date.now()) => time - (time % HOUR);
export const iso = (time) => new Date(time).toISOString().replace('.000Z', 'Z');

// -- directories and processes ----------------------------------------------------------------------

// Waits for the end of its input, which is ours, then ends what is left of what we have started.
const REAPER = `
cat >/dev/null
for p in $(cat "$1/pids" 2>/dev/null); do kill -9 "$p" 2>/dev/null; done
for f in $(find "$1" -name postmaster.pid 2>/dev/null); do
  p=$(head -n 1 "$f"); kill -QUIT "$p" 2>/dev/null
  n=0; while [ $n -lt 100 ] && kill -0 "$p" 2>/dev/null; do n=$((n+1)); sleep 0.1; done
done
rm -rf "$1"`;

/// A directory under /tmp that the user postgres may traverse too.
export function makeDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'binnacle-contract-'));
  chmodSync(directory, 0o755);
  const reaper = spawn('sh', ['-c', REAPER, 'reaper', directory],
    { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  reaper.unref();
  reaper.stdin.unref();
  return directory;
}

// ctest ends `node --test` only: an orphan must not go on.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(1), 500).unref();

const alive = {}; // process ids by directory

function start(directory, argv, options) {
  const child = spawn(argv[0], argv.slice(1), options);
  const note = () => writeFileSync(join(directory, 'pids'), [...alive[directory]].join('\n'));
  alive[directory] ??= new Set();
  if (child.pid) note(alive[directory].add(child.pid));
  child.output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text) => { child.output += text; });
  child.ended = new Promise((done) => {
    child.once('error', (error) => { child.output += error; done({ code: null, signal: null }); });
    child.once('exit', (code, signal) => {
      alive[directory].delete(child.pid);
      note();
      done({ code, signal });
    });
  });
  return child;
}

async function end(child, signal = 'SIGTERM', patience = PATIENCE) {
  if (child.exitCode !== null || child.signalCode !== null) return child.ended;
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), patience);
  try {
    return await child.ended;
  } finally {
    clearTimeout(late);
  }
}

/// Asks again and again, until the answer is true or time is up.
export async function until(what, question, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${patience} ms in vain until ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/// A small HTTP server for the length of a test file.
export async function serveHttp(handler, port = 0, host = '127.0.0.1') {
  const server = http.createServer(handler);
  await new Promise((done, failed) => server.once('error', failed).listen(port, host, done));
  return {
    url: `http://${host}:${server.address().port}`,
    port: server.address().port,
    close: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

// -- the command line -------------------------------------------------------------------------------

function environment(directory, more = {}) {
  return {
    PATH: process.env.PATH,
    HOME: directory,
    BINNACLE_DATA_DIR: join(directory, 'data'),
    BINNACLE_COLLECTOR_ENABLED: 'false', // its timer would book while a test looks
    BINNACLE_LOG_ACCESS_FILE: join(directory, 'access.log'),
    ...more,
  };
}

/// Runs `binnacle …` to its end: {code, stdout, stderr}.
export async function run(directory, args, { input = '', env = {}, patience = 120_000 } = {}) {
  const child = start(directory, [binary, ...args],
    { cwd: directory, env: environment(directory, env), stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '', stderr = '';
  child.stdout.on('data', (text) => { stdout += text; });
  child.stderr.on('data', (text) => { stderr += text; });
  const closed = new Promise((done) => child.once('close', done));
  child.stdin.on('error', () => {}); // it did not want to read
  child.stdin.end(input);
  const late = setTimeout(() => child.kill('SIGKILL'), patience);
  const { code, signal } = await child.ended;
  clearTimeout(late);
  await closed;
  if (signal) throw new Error(`binnacle ${args.join(' ')} was ended by ${signal}:\n${child.output}`);
  return { code, stdout, stderr };
}

// -- requests ---------------------------------------------------------------------------------------

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/// One request over a real socket. `body`: an object is sent as JSON, a string or Buffer as it is.
/// `from`: an address of 127.0.0.0/8 to call from, for rate limits of a test's own.
export function call(base, method, path, { body, headers = {}, token, cookie, from } = {}) {
  const { hostname, port } = new URL(base);
  const sent = { ...headers };
  let payload;
  if (body !== undefined) {
    payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    sent['Content-Length'] = Buffer.byteLength(payload);
    if (!Object.keys(sent).some((name) => name.toLowerCase() === 'content-type'))
      sent['Content-Type'] = 'application/json';
  } else if (['POST', 'PUT', 'PATCH'].includes(method)) {
    sent['Content-Length'] = 0;
  }
  if (token) sent.Authorization = `Bearer ${token}`;
  if (cookie) sent.Cookie = cookie;
  return new Promise((done, failed) => {
    const request = http.request({
      hostname, port, method, path, headers: sent, agent, localAddress: from, timeout: PATIENCE,
    }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', failed);
      response.on('end', () => {
        const raw = Buffer.concat(parts);
        const answer = new Answer(`${method} ${path}`, response, raw);
        const type = Object.entries(sent).find(([name]) => name.toLowerCase() === 'content-type')?.[1];
        const accepted = answer.status >= 200 && answer.status < 300;
        const wrong = complaint(method, path, answer) ??
          (accepted && objection(method, path, { type, text: payload?.toString() }));
        if (wrong) failed(new Error(`${answer.asked} is not as in openapi.yaml: ${wrong}\n${answer.text}`));
        else done(answer);
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer`)));
    request.on('error', failed);
    request.end(payload);
  });
}

class Answer {
  constructor(asked, response, raw) {
    this.asked = asked;
    this.status = response.statusCode;
    this.headers = response.headers; // names in lower case
    this.rawHeaders = response.rawHeaders;
    this.raw = raw;
  }
  get text() { return this.raw.toString('utf8'); }
  get json() {
    try {
      return JSON.parse(this.text);
    } catch {
      throw new Error(`${this.asked} -> ${this.status}, not JSON: ${this.text}`);
    }
  }
  /// Set-Cookie as {name: {value, attributes: ['Path=/', …]}}.
  get cookies() {
    return Object.fromEntries((this.headers['set-cookie'] ?? []).map((line) => {
      const [pair, ...attributes] = line.split('; ');
      const equals = pair.indexOf('=');
      return [pair.slice(0, equals), { value: pair.slice(equals + 1), attributes }];
    }));
  }
}

/// The status, and all of the body when one is given.
export function expect(answer, status, body) {
  assert.equal(answer.status, status, `${answer.asked} -> ${answer.status} ${answer.text}`);
  if (body !== undefined) assert.deepEqual(answer.json, body, answer.asked);
  return answer;
}

/// A client with a cookie jar.
class Browser {
  jar = {};
  constructor(service, options) {
    this.service = service;
    this.options = options;
  }
  get cookie() {
    return Object.entries(this.jar).map(([name, value]) => `${name}=${value}`).join('; ');
  }
  async call(method, path, options = {}) {
    const answer = await this.service.call(method, path,
      { ...this.options, ...options, cookie: options.cookie ?? this.cookie });
    for (const [name, { value, attributes }] of Object.entries(answer.cookies)) {
      if (attributes.includes('Max-Age=0')) delete this.jar[name];
      else this.jar[name] = value;
    }
    return answer;
  }
}

// -- the service ------------------------------------------------------------------------------------

/// Starts `binnacle serve` on a fresh directory (or the one given) and waits until it is ready.
export async function startService({ directory = makeDirectory(), env = {} } = {}) {
  const listen = env.BINNACLE_LISTEN ?? '127.0.0.1:0';
  const child = start(directory, [binary, 'serve'], {
    cwd: directory,
    env: environment(directory, { ...env, BINNACLE_LISTEN: listen }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let url;
  await until('the service is ready', () => {
    if (child.exitCode !== null) throw new Error(`binnacle serve ended:\n${child.output}`);
    url = /ready at (http:\S+?) /.exec(child.output)?.[1];
    return url;
  }, 90_000);
  const service = new Service(directory, child, url, env);
  await until('/readyz says so', async () => (await service.call('GET', '/readyz')).status === 200);
  return service;
}

class Service {
  constructor(directory, child, url, env) {
    Object.assign(this, { directory, child, url, env, data: join(directory, 'data') });
  }
  get output() { return this.child.output; }
  call(method, path, options) { return call(this.url, method, path, options); }
  browser(options) { return new Browser(this, options); }

  /// A command beside the running service, with the same settings.
  cli(args, options = {}) {
    return run(this.directory, args, { ...options, env: { ...this.env, ...options.env } });
  }
  async good(args, options) {
    const ended = await this.cli(args, options);
    assert.equal(ended.code, 0, `binnacle ${args.join(' ')}: ${ended.stderr}${ended.stdout}`);
    return ended.stdout.trim();
  }
  token(email, ...more) { return this.good(['token', '--email', email, ...more]); }
  adminToken(email = 'admin@example.com') { return this.token(email, '--admin'); }
  /// A user with a password; answers the id.
  user(username, { email, admin = false, password = PASSWORD } = {}) {
    return this.good(['user', '--username', username, ...(email ? ['--email', email] : []),
      ...(admin ? ['--admin'] : [])], { input: `${password}\n` });
  }
  project(email, cluster, namespace, name) {
    return this.good(['project', '--email', email, '--cluster', cluster, '--namespace', namespace,
      ...(name ? ['--name', name] : [])]);
  }

  /// SQL through psql and the cluster's own socket; rows as arrays of text.
  sql(text) {
    const ran = spawnSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1',
      '-h', join(this.data, 'postgres/run'), '-U', 'binnacle', '-d', 'binnacle', '-c', text], {
      env: {
        PATH: process.env.PATH,
        PGPASSWORD: readFileSync(join(this.data, 'secrets/postgres-password'), 'utf8').trim(),
      },
      encoding: 'utf8',
      timeout: PATIENCE,
    });
    if (ran.status !== 0) throw new Error(`psql: ${ran.error ?? ran.stderr}`);
    return ran.stdout.split('\n').filter(Boolean).map((line) => line.split('|'));
  }
  /// Changes a user behind the service's back, and tells it as any writer must.
  changeUser(id, assignment) {
    this.sql(`UPDATE users SET ${assignment} WHERE id = '${id}'`);
    this.announce(`identity:${id}`);
  }
  /// What is announced to all nodes: "prices:", "usage:<user id>", …
  announce(topic) { this.sql(`SELECT pg_notify('binnacle_changes', '${topic}')`); }

  /// A token signed with the service's own key, for claims that it would not make itself.
  mint(claims, header = {}) {
    const pem = readFileSync(join(this.data, 'secrets/token-signing-key.pem'), 'utf8');
    const now = Math.floor(Date.now() / 1000);
    const key = createPrivateKey(pem);
    return jwt({ alg: 'RS256', typ: 'JWT', kid: this.kid, ...header },
      { iss: 'binnacle', aud: 'binnacle', iat: now, nbf: now, exp: now + 600, typ: 'access', sv: 0,
        ...claims },
      (text) => sign('RSA-SHA256', Buffer.from(text), key));
  }
  async learnKeys() {
    const [key] = expect(await this.call('GET', '/.well-known/jwks.json'), 200).json.keys;
    this.kid = key.kid;
    this.publicPem = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    return key;
  }

  /// Registers a cluster with the stand-in's kubeconfig; answers its id.
  async addCluster(adminToken, name, kubeconfig) {
    const made = expect(await this.call('POST', '/api/admin/clusters', {
      token: adminToken,
      body: { name, api_url: 'https://hopsworks.example.com', kubeconfig },
    }), 201);
    return made.json.cluster.id;
  }

  /// Stops it as an operator would; every child is gone afterwards.
  async stop(signal) { return end(this.child, signal); }
}

export const base64url = (value) =>
  Buffer.from(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value))
    .toString('base64url');

/// A compact JWS; `signer` takes the text and answers the signature.
export function jwt(header, claims, signer) {
  const text = `${base64url(header)}.${base64url(claims)}`;
  return `${text}.${base64url(signer(text))}`;
}

export const subjectOf = (token) =>
  JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).sub;

// -- the stand-in -----------------------------------------------------------------------------------

/// tests/upstreams/opencost.mjs as a process of its own.
export async function startStandIn(directory, args = []) {
  const child = start(directory,
    [process.execPath, standInProgram, '--state', join(directory, 'stand-in'), '--die-with-parent',
      ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const line = await until('the stand-in is ready', () => {
    if (child.exitCode !== null) throw new Error(`the stand-in ended:\n${child.output}`);
    return /^\{"ready".*\}$/m.exec(child.output)?.[0];
  });
  const { url, control, kubeconfig } = JSON.parse(line);
  const command = async (method, path, body) => {
    const answer = await call(control, method, path, body === undefined ? {} : { body });
    assert.ok(answer.status < 300, `stand-in ${method} ${path}: ${answer.text}`);
    return answer.text ? answer.json : undefined;
  };
  return {
    url,
    kubeconfig: readFileSync(kubeconfig, 'utf8'),
    certificateKubeconfig: readFileSync(join(dirname(kubeconfig), 'kubeconfig-cert.yaml'), 'utf8'),
    command,
    fail: (...faults) => command('POST', '/faults', faults),
    recover: () => command('DELETE', '/faults'),
    requests: () => command('GET', '/requests'),
    stop: () => end(child),
  };
}

/// What the stand-in says must have been booked, as `opencost.mjs --expect` prints it.
export function expectedUsage({ namespaces, from, to, seed = 1 }) {
  const ran = spawnSync(process.execPath, [standInProgram, '--expect', '--from', iso(from),
    '--to', iso(to), '--namespaces', namespaces.join(','), '--seed', String(seed)],
  { encoding: 'utf8', timeout: PATIENCE });
  assert.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout);
}

/// Service, stand-in, an admin and a cluster called "alpha".
export async function startCompany({ env, standIn: args = [] } = {}) {
  const directory = makeDirectory();
  const [service, standIn] = await Promise.all([
    startService({ directory, env }), startStandIn(directory, args)]);
  const admin = await service.adminToken();
  const cluster = await service.addCluster(admin, 'alpha', standIn.kubeconfig);
  return {
    service, standIn, admin, cluster,
    stop: () => Promise.all([service.stop(), standIn.stop()]),
  };
}

// -- numbers ----------------------------------------------------------------------------------------

/// The number as it stands in the text, digit by digit.
export function digits(text, name) {
  const found = new RegExp(`"${name}":(-?[0-9.eE+-]+)`).exec(text);
  assert.ok(found, `${name} is missing in ${text}`);
  return found[1];
}

const PLACES = 12;
const ONE = 10n ** BigInt(PLACES);
/// "1.5" as a whole number of 10^-12.
export function units(text) {
  const [, minus, whole, rest = ''] = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(String(text)) ?? [];
  assert.ok(whole !== undefined, `no plain decimal of at most 12 places: ${text}`);
  const n = BigInt(whole) * ONE + BigInt(rest.padEnd(PLACES, '0') || '0');
  return minus ? -n : n;
}
/// Equal but for `tolerance` units of 10^-12.
export function assertClose(actual, expected, tolerance, what) {
  const difference = units(actual) - units(expected);
  const size = difference < 0n ? -difference : difference;
  assert.ok(size <= BigInt(tolerance), `${what}: ${actual} is not ${expected}`);
}

const GIB = 2n ** 30n;
/// Byte-hours to GB-hours, a whole number of 10^-12.
export const gigabytes = (byteHours) => units(byteHours) / GIB;

/// A time from which the hour will not change for a while, so that a test knows "today".
export async function awayFromTheHour(seconds = 90) {
  await until('the hour is young enough', () => HOUR - (Date.now() % HOUR) > seconds * 1000,
    (seconds + 5) * 1000);
  return startOfHour();
}
export const startOfDay = (time) => time - (time % (24 * HOUR));
export const startOfMonth = (time) =>
  Date.UTC(new Date(time).getUTCFullYear(), new Date(time).getUTCMonth());

/// Sums of what `namespaces` used in [from, to), in units of 10^-12; nothing when it is empty.
export function sumOfUsage(namespaces, from, to) {
  const sum = { cpu: 0n, gpu: 0n, ram: 0n, online: 0n };
  if (from >= to) return sum;
  for (const used of Object.values(expectedUsage({ namespaces, from, to }))) {
    sum.cpu += units(used.cpuCoreHours);
    sum.gpu += units(used.gpuHours);
    sum.ram += gigabytes(used.ramByteHours);
    sum.online += gigabytes(used.pvByteHours);
  }
  return sum;
}
/// 10^-12 units as text.
export function decimalText(n) {
  const whole = n / ONE, rest = String(n % ONE).padStart(PLACES, '0').replace(/0+$/, '');
  return rest ? `${whole}.${rest}` : String(whole);
}

/// What the fault tests share: a Binnacle of their own with its own PostgreSQL, a client that
/// speaks in bytes, and waiting with a deadline. Nothing outside this folder uses it.

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync,
  rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startOpenCost } from '../upstreams/opencost.mjs';

const ROOT = resolve(fileURLToPath(new URL('../..', import.meta.url)));
const POSTGRES = process.env.BINNACLE_DATABASE_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';
export const PASSWORD = 'correct horse battery';

export const BINARY = process.env.BINNACLE_BINARY ??
  ['debug', 'release'].map((kind) => join(ROOT, 'build', kind, 'binnacle')).find(existsSync);

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/// Asks until the answer is true; its last error or a plain one when the deadline passes. Deadlines
/// here are for what hangs: no test may depend on how fast the machine is.
export async function eventually(what, ask, { within = 60_000, every = 25 } = {}) {
  const deadline = Date.now() + within;
  for (;;) {
    let why = new Error(`not within ${within} ms: ${what}`);
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      why = error;
    }
    if (Date.now() >= deadline) throw why;
    await sleep(every);
  }
}

export function bounded(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// -- installations ----------------------------------------------------------------------------------

/// A data directory of its own; everything that runs on it ends with the test.
export function installation(test, env = {}) {
  const root = mkdtempSync(join(tmpdir(), 'binnacle-faults-'));
  chmodSync(root, 0o755); // PostgreSQL runs as the user postgres and must get through
  return new Installation(test, root, join(root, 'data'), env);
}

const SMALL = {
  BINNACLE_LISTEN: '127.0.0.1:0',
  BINNACLE_LOG_ACCESS_FILE: 'off',
  BINNACLE_COLLECTOR_ENABLED: 'false',
  BINNACLE_RATE_LIMIT_SCALE: '100000',
  BINNACLE_SESSION_MAX_IN_FLIGHT: '1000',
};

class Installation {
  constructor(test, root, data, env) {
    Object.assign(this, { root, data, env, running: [] });
    mkdirSync(data, { recursive: true });
    test.after(() => this.destroy());
  }

  /// Starts `binnacle serve` and waits until it says that it is ready.
  async serve(env = {}) {
    const service = new Service(this, env);
    this.running.push(service);
    await service.ready();
    return service;
  }

  environment(env) {
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(BINNACLE_|DATABASE_URL|PG|NODE_)/.test(name)));
    return { ...clean, ...SMALL, BINNACLE_DATA_DIR: this.data, ...this.env, ...env };
  }

  spawn(args, env = {}) {
    const child = spawn(BINARY, args, {
      env: this.environment(env), stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.running.push({ child });
    return child;
  }

  /// Runs a command to its end; {code, out}.
  run(args, env = {}, within = 60_000) {
    const child = this.spawn(args, env);
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { out += text; });
    const ended = new Promise((done) => child.once('close', (code, signal) => {
      done({ code: code ?? signal, out });
    }));
    return bounded(ended, within, `binnacle ${args.join(' ')}`);
  }

  get url() {
    const word = readFileSync(join(this.data, 'secrets/postgres-password'), 'utf8').trim();
    return `user=binnacle dbname=binnacle port=5432 host=${this.socketDirectory} password=${word}`;
  }

  get socketDirectory() {
    return readFileSync(join(this.data, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n')[4];
  }

  /// One statement; its rows as text, columns separated by |.
  sql(text) {
    return execFileSync(join(POSTGRES, 'psql'), ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text,
      this.url], { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  }

  get postmaster() {
    try {
      const pid = Number(readFileSync(join(this.data, 'postgres/cluster/postmaster.pid'), 'utf8')
        .split('\n')[0]);
      return isAlive(pid) ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /// pg_ctl as the user the cluster belongs to.
  postgres(...args) {
    const as = {};
    if (process.getuid() === 0) {
      const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
      Object.assign(as, { uid: id('-u'), gid: id('-g') });
    }
    return spawnSync(join(POSTGRES, 'pg_ctl'), [...args, '-D', join(this.data, 'postgres/cluster')], {
      ...as, cwd: join(this.data, 'postgres'), timeout: 60_000, stdio: 'ignore',
    });
  }

  stopPostgres(mode = 'fast') {
    assert.equal(this.postgres('stop', '-w', '-m', mode).status, 0);
  }

  /// The postmaster only, and at once; its children notice.
  async killPostgres() {
    const { postmaster } = this;
    process.kill(postmaster, 'SIGKILL');
    await eventually('the postmaster is gone', () => !isAlive(postmaster));
  }

  /// Tries again while the rest of a killed one goes away.
  async startPostgres() {
    const log = join(this.data, 'postgres/log/start.log');
    await eventually('PostgreSQL starts', () => this.postmaster ||
      this.postgres('start', '-s', '-w', '-l', log).status === 0, { every: 50 });
  }

  /// Holds the usage tables, so that whoever reads usage waits, until the function that it returns
  /// is called; ends with the test.
  async lockUsage() {
    const child = spawn(join(POSTGRES, 'psql'), ['-XAtq', this.url], { stdio: ['pipe', 'ignore', 'inherit'] });
    this.running.push({ child });
    child.stdin.on('error', () => {}); // its server may be gone
    child.stdin.write('BEGIN; LOCK TABLE usage_daily, usage_project_daily, usage_monthly IN ACCESS EXCLUSIVE MODE;\n');
    await eventually('the tables are locked', () => this.sql('SELECT count(*) FROM pg_locks ' +
      "WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'usage_monthly'::regclass") === '1');
    return () => child.stdin.end();
  }

  /// Every process that has its home in this installation: postmaster, its children, ours.
  processes() {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).map(Number).filter((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/cwd`).startsWith(this.data)) return true;
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`BINNACLE_DATA_DIR=${this.data}\0`);
      } catch {
        return false;
      }
    });
  }

  destroy() {
    for (const { child } of this.running) child.kill('SIGKILL');
    const { postmaster } = this;
    if (postmaster) {
      this.postgres('stop', '-w', '-m', 'immediate');
      if (isAlive(postmaster)) process.kill(postmaster, 'SIGKILL');
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }

  /// The first admin; {cookie, token}.
  async admin(service) {
    const made = await service.call('POST', '/api/setup', { body: { username: 'admin', password: PASSWORD } });
    assert.equal(made.status, 201, made.text);
    return { cookie: cookieOf(made) };
  }

  async token(email, { admin = false } = {}) {
    const args = ['token', '--email', email, ...(admin ? ['--admin'] : [])];
    const { code, out } = await this.run(args, { BINNACLE_IDENTITY_ACCESS_TOKEN_LIFE: '1h' });
    assert.equal(code, 0, out);
    return { authorization: `Bearer ${out.trim().split('\n').at(-1)}` };
  }
}

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

class Service {
  constructor(home, env) {
    this.home = home;
    this.text = '';
    this.child = spawn(BINARY, ['serve'], {
      env: home.environment(env), stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (text) => { this.text += text; });
    }
    this.ended = new Promise((done) => this.child.once('close', (code, signal) => done(code ?? signal)));
  }

  async ready() {
    let gone = false;
    this.ended.then(() => { gone = true; });
    await eventually('the service is ready', () => {
      this.port = Number(/ready at http:\/\/[^\s]*:(\d+)/.exec(this.text)?.[1] ?? 0);
      return this.port || gone;
    });
    if (gone) throw new Error(`it did not start: ${this.text}`);
    await eventually('/readyz', async () => (await this.call('GET', '/readyz')).status === 200);
  }

  /// {status, headers, text, json}; rejects when the answer does not arrive whole.
  call(method, path, { headers = {}, body, agent = false, within = 60_000 } = {}) {
    return call({ port: this.port, method, path, headers, body, agent, within });
  }

  raw(bytes, options) {
    return converse(this.port, bytes, options);
  }

  /// The exit code, or the signal that ended it.
  async stop(signal = 'SIGTERM', within = 60_000) {
    this.child.kill(signal);
    return bounded(this.ended, within, `end after ${signal}`);
  }
}

export function call({ port, method, path, headers, body, agent, within, host = '127.0.0.1', localAddress }) {
  return new Promise((done, failed) => {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const all = { ...headers };
    if (text !== undefined) {
      all['content-type'] ??= 'application/json';
      all['content-length'] = Buffer.byteLength(text);
    }
    const sent = http.request({ host, port, method, path, headers: all, agent, localAddress, timeout: within });
    sent.on('response', (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', failed);
      answer.on('end', () => {
        if (!answer.complete) return failed(new Error('half an answer'));
        const got = Buffer.concat(parts).toString('utf8');
        let json;
        try { json = JSON.parse(got); } catch { /* not JSON */ }
        done({ status: answer.statusCode, headers: answer.headers, text: got, json });
      });
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${within} ms: ${method} ${path}`)));
    sent.on('error', failed);
    sent.end(text);
  });
}

export const cookieOf = (answer) => answer.headers['set-cookie'][0].split(';')[0];

// -- bytes ------------------------------------------------------------------------------------------

/// Sends pieces one after another and reads until the server closes or `until` is satisfied. A
/// number is a pause, a function is waited for.
/// {answers, closed, text, ms}: what was read, taken apart. `quiet`: stop waiting after so long.
export function converse(port, pieces, {
  within = 60_000, until, methods = [], host = '127.0.0.1', from, pause = 20, end = false,
} = {}) {
  return new Promise((done, failed) => {
    const socket = net.connect({ port, host, localAddress: from });
    const began = Date.now();
    let data = Buffer.alloc(0);
    let finished = false;
    const finish = (closed) => {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      socket.destroy();
      const text = data.toString('latin1');
      done({ answers: takeApart(text, methods), closed, text, ms: Date.now() - began });
    };
    const timer = setTimeout(() => finish(false), within);
    socket.on('data', (part) => {
      data = Buffer.concat([data, part]);
      if (until?.(takeApart(data.toString('latin1'), methods))) finish(false);
    });
    socket.on('end', () => finish(true));
    socket.on('close', () => finish(true));
    socket.on('error', (error) => {
      if (error.code === 'ECONNREFUSED') return failed(error);
      finish(true); // reset: closed all the same
    });
    socket.on('connect', async () => {
      for (const piece of [pieces].flat()) {
        if (finished) return;
        if (typeof piece === 'number') await sleep(piece);
        else if (typeof piece === 'function') await piece();
        else socket.write(Buffer.from(piece, 'latin1'));
        if (Array.isArray(pieces)) await sleep(pause);
      }
      if (end) socket.end();
    });
  });
}

/// Complete answers in a text; `methods` tells which of them answer a HEAD.
export function takeApart(text, methods = []) {
  const answers = [];
  let rest = text;
  let index = 0;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const [first, ...lines] = rest.slice(0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
    if (!status) throw new Error(`not an answer: ${first}`);
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const bodiless = status < 200 || status === 204 || status === 304 || methods[index] === 'HEAD';
    const length = bodiless ? 0 : Number(headers['content-length'] ?? 0);
    if (rest.length < end + 4 + length) break;
    const body = rest.slice(end + 4, end + 4 + length);
    let json;
    try { json = JSON.parse(body); } catch { /* not JSON */ }
    answers.push({ status, headers, body, json });
    rest = rest.slice(end + 4 + length);
    if (status >= 200) index += 1;
  }
  return answers;
}

// -- OpenCost ---------------------------------------------------------------------------------------

/// The stand-in, in this process; with `fault(…)` and `clear()`.
export async function openCost(test, home, options) {
  const server = await startOpenCost({ state: join(home.root, `stand-in-${options.seed ?? 1}`), ...options });
  test.after(() => server.close());
  const command = async (method, path, body) => {
    const answer = await fetch(`${server.control}${path}`, { method, body: body && JSON.stringify(body) });
    return answer.json();
  };
  return {
    ...server,
    fault: (...faults) => command('POST', '/faults', faults),
    clear: () => command('DELETE', '/faults'),
    requests: () => command('GET', '/requests'),
  };
}

/// A cluster of that stand-in, by way of the admin's route; its id.
export async function addCluster(service, admin, server, name = 'alpha') {
  const kubeconfig = readFileSync(server.kubeconfig, 'utf8');
  const made = await service.call('POST', '/api/admin/clusters', {
    headers: admin, body: { name, api_url: server.url, kubeconfig },
  });
  assert.equal(made.status, 201, made.text);
  return made.json.cluster.id;
}

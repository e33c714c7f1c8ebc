// The service under test: one release binary, one data directory, one port.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Postgres, postmasterOf } from './postgres.mjs';
import { freePort, run, sleep, start, stop, waitUntilReady } from './processes.mjs';

export class Service {
  constructor({ binary, workDir, env = {} }) {
    this.name = 'binnacle';
    this.binary = binary;
    this.dataDir = join(workDir, 'data');
    this.log = join(workDir, 'service.log');
    this.settings = env;
  }

  async start(extra = {}) {
    this.port = await freePort();
    this.env = {
      BINNACLE_LISTEN: `127.0.0.1:${this.port}`,
      BINNACLE_DATA_DIR: this.dataDir,
      BINNACLE_RATE_LIMIT_SCALE: '1000000', // the limiter does its work but never refuses
      BINNACLE_IDENTITY_ACCESS_TOKEN_LIFE: '1d', // no token expires in the middle of a run
      BINNACLE_COLLECTOR_ENABLED: 'false', // the timer must not collect beside a measurement
      ...this.settings,
      ...extra,
    };
    // Its stop includes PostgreSQL's; it drains connections before.
    this.child = start(this.binary, ['serve'], {
      env: this.env,
      log: this.log,
      stopWithin: 45_000,
    });
    await waitUntilReady(this.child, `${this.url}/readyz`, 90);
    this.postgres = new Postgres(this.dataDir);
    this.databasePid = this.postgres.pid; // its CPU time is shown apart from the service's
  }

  /**
   * Stops the service, which stops its cluster; one that was left behind all the same is stopped
   * here.
   */
  async stop() {
    await stop(this.child);
    const left = postmasterOf(this.dataDir);
    if (left) process.kill(left, 'SIGINT'); // PostgreSQL's fast shutdown
    for (const end = Date.now() + 10_000; postmasterOf(this.dataDir) && Date.now() < end;)
      await sleep(100);
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }
  get pid() {
    return this.child.pid;
  }
  pids() {
    return [this.pid];
  }

  /**
   * Runs another command of the service beside the running one, over whose private cluster it
   * works.
   */
  command(args, options = {}) {
    const { PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD } = this.postgres.env;
    const database =
      `postgresql://${PGUSER}:${encodeURIComponent(PGPASSWORD)}@/${PGDATABASE}` +
      `?host=${encodeURIComponent(PGHOST)}&port=${PGPORT}`;
    return run(this.binary, args, {
      ...options,
      env: { ...this.env, DATABASE_URL: database, ...options.env },
    });
  }

  /**
   * An access token as the service prints it; the user is created if there is none with that
   * address.
   */
  async token(email, { admin = false } = {}) {
    const output = await this.command(['token', '--email', email, ...(admin ? ['--admin'] : [])]);
    const token = /[\w-]+\.[\w-]+\.[\w-]+/.exec(output.trim().split('\n').at(-1))?.[0];
    if (!token) throw new Error(`binnacle token printed no token for ${email}`);
    return token;
  }

  get signingKey() {
    return readFileSync(join(this.dataDir, 'secrets', 'token-signing-key.pem'), 'utf8');
  }

  /** Sends one request and returns {status, headers, body}. */
  async request(path, { token, method = 'GET', body } = {}) {
    const answer = await fetch(this.url + path, {
      method,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
        'accept-encoding': 'identity', // the peers answer these very bytes
      },
    });
    return { status: answer.status, headers: answer.headers, body: await answer.text() };
  }

  /** The sum of one gauge over its labels, from /metrics; null when there is no such gauge. */
  async metric(name) {
    const { body } = await this.request('/metrics');
    const values = [...body.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(
      match => Number(match[1]),
    );
    return values.length ? values.reduce((a, b) => a + b) : null;
  }
}

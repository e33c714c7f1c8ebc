// psql and pgbench against the service's private cluster.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { cpuSeconds, run } from './processes.mjs';
import { percentile } from './measure.mjs';

const versions = '/usr/lib/postgresql';

/** The newest installed PostgreSQL's folder of programs; they are not on the PATH on Debian. */
export function programs() {
  const newest = readdirSync(versions)
    .map(Number)
    .filter(Boolean)
    .sort((a, b) => b - a)[0];
  return join(versions, String(newest), 'bin');
}

/**
 * The process of the private cluster in a service's data directory, or undefined when none runs.
 */
export function postmasterOf(dataDir) {
  try {
    const pid = Number(
      readFileSync(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'), 'utf8').split('\n')[0],
    );
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'postgres' ? pid : undefined;
  } catch {
    return undefined;
  }
}

export class Postgres {
  constructor(dataDir) {
    this.pid = postmasterOf(dataDir);
    if (!this.pid) throw new Error(`no private cluster runs in ${dataDir}`);
    this.env = {
      PGHOST: join(dataDir, 'postgres', 'run'),
      PGPORT: '5432',
      PGUSER: 'binnacle',
      PGDATABASE: 'binnacle',
      PGPASSWORD: readFileSync(join(dataDir, 'secrets', 'postgres-password'), 'utf8').trim(),
    };
  }

  /** Runs SQL in one session and returns its unaligned output. */
  async sql(text, { database = 'binnacle', seconds = 300 } = {}) {
    const output = await run(
      join(programs(), 'psql'),
      [
        '--no-psqlrc',
        '--quiet',
        '--no-align',
        '--tuples-only',
        '--set',
        'ON_ERROR_STOP=1',
        '--dbname',
        database,
      ],
      { env: this.env, input: text, seconds },
    );
    return output.trim();
  }

  /**
   * Fills pgbench's tables, in a database of their own if the role may create one, else in a schema
   * of their own.
   */
  async preparePgbench(scale = 10) {
    this.pgbenchEnv = { ...this.env, PGDATABASE: 'pgbench' };
    try {
      await this.sql('create database pgbench');
    } catch {
      await this.sql('create schema if not exists pgbench');
      this.pgbenchEnv = { ...this.env, PGOPTIONS: '-c search_path=pgbench' };
    }
    await run(join(programs(), 'pgbench'), ['--initialize', '--quiet', '--scale', String(scale)], {
      env: this.pgbenchEnv,
      seconds: 300,
    });
  }

  /** Connections that a client may open beside those already open. */
  async freeConnections() {
    return Number(
      await this.sql(`select current_setting('max_connections')::int
      - current_setting('superuser_reserved_connections')::int
      - (select count(*) from pg_stat_activity where backend_type = 'client backend') + 1`),
    );
  }

  /**
   * pgbench's select-only script with prepared statements: a read by primary key, the least a cold
   * answer can cost.
   */
  async pgbench({ connections, seconds }) {
    const logs = mkdtempSync(join(tmpdir(), 'binnacle-pgbench-'));
    try {
      const before = cpuSeconds([this.pid]);
      const output = await run(
        join(programs(), 'pgbench'),
        [
          '--select-only',
          '--protocol=prepared',
          '--no-vacuum',
          '--client',
          String(connections),
          '--jobs',
          '2',
          '--time',
          String(seconds),
          '--log',
          '--sampling-rate=0.05',
          `--log-prefix=${join(logs, 'log')}`,
        ],
        { env: this.pgbenchEnv, seconds: seconds + 60 },
      );
      const cpu = cpuSeconds([this.pid]) - before;
      const latencies = readdirSync(logs)
        .flatMap(name => readFileSync(join(logs, name), 'utf8').trim().split('\n'))
        .filter(Boolean)
        .map(line => Number(line.split(' ')[2]));
      const transactions = Number(/actually processed: (\d+)/.exec(output)[1]);
      return {
        rate: Number(/tps = ([\d.]+)/.exec(output)[1]),
        p50: percentile(latencies, 0.5),
        p99: percentile(latencies, 0.99),
        serverCpu: null,
        databaseCpu: (cpu * 1e6) / transactions,
      };
    } finally {
      rmSync(logs, { recursive: true, force: true });
    }
  }
}

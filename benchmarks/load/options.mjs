// The command line of scripts/bench.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** The repository. */
export const root = fileURLToPath(new URL('../../', import.meta.url));
const sectionNames = ['usage', 'latency', 'cold', 'memory', 'collector', 'ledger', 'webhooks',
  'meters', 'listeners', 'import', 'keys', 'users'];
const help = `usage: scripts/bench [options]

  --only a,b            sections to run, of ${sectionNames.join(', ')} (default: all)
  --rounds N            rounds of every load, the candidates in turn (3)
  --seconds N           length of one load (10)
  --connections N       connections of the warm and cold load (64)
  --sessions N          resident sessions to measure (100000)
  --idle-connections N  idle keep-alive connections to measure (10000)
  --rows N              namespace-hours to collect, orders to import (100000)
  --entries N           entries of a user's ledger of credits (100000)
  --customers N         customers of a sync of meters (2000)
  --users N             users of a developer's project (1000000)
  --limit N             minutes after which the run is given up (60)
  --output DIR          where results.{md,json,svg} go (benchmarks/ after a run of all sections, else nowhere)
  --binary FILE         the service (build/release/binnacle)
  --beast FILE          the plain Beast peer (build/release/benchmarks/binnacle_bench_beast)
  --ledger FILE         the ledger's program (build/release/benchmarks/micro/binnacle_bench_ledger)`;

/** Reads the command line; ends the process on --help and on a mistake. */
export function readOptions() {
  try {
    return parseOptions();
  } catch (error) {
    console.error(`bench: ${error.message}\n\n${help}`);
    process.exit(2);
  }
}

function parseOptions() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      only: text,
      rounds: text,
      seconds: text,
      connections: text,
      sessions: text,
      'idle-connections': text,
      rows: text,
      entries: text,
      customers: text,
      users: text,
      limit: text,
      output: text,
      binary: text,
      beast: text,
      ledger: text,
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(help);
    process.exit(0);
  }
  const number = (name, preset) => {
    const value = Number(values[name] ?? preset);
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`--${name}: a whole number from 1, not "${values[name]}"`);
    return value;
  };
  const sections = values.only?.split(',') ?? sectionNames;
  const unknown = sections.find(name => !sectionNames.includes(name));
  if (unknown)
    throw new Error(`--only: no section "${unknown}"; there are ${sectionNames.join(', ')}`);
  return {
    sections,
    rounds: number('rounds', 3),
    seconds: number('seconds', 10),
    connections: number('connections', 64),
    sessions: number('sessions', 100_000),
    idleConnections: number('idle-connections', 10_000),
    rows: number('rows', 100_000),
    entries: number('entries', 100_000),
    customers: number('customers', 2_000),
    users: number('users', 1_000_000),
    limit: number('limit', 60),
    output: values.output ?? (values.only ? null : join(root, 'benchmarks')),
    binary: values.binary ?? join(root, 'build/release/binnacle'),
    beast: values.beast ?? join(root, 'build/release/benchmarks/binnacle_bench_beast'),
    ledger: values.ledger ?? join(root, 'build/release/benchmarks/micro/binnacle_bench_ledger'),
  };
}

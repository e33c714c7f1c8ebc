// Takes one measurement of a server, and the median of several.
import { fileURLToPath } from 'node:url';
import { cpuSeconds, run } from './processes.mjs';

const script = fileURLToPath(new URL('report.lua', import.meta.url));

/**
 * Loads `candidate` with wrk: GETs with a token, or POSTs of a body. A candidate is {name, port, pids(), databasePid?}. Returns requests
 * per second, p50 and p99 in microseconds, and CPU microseconds per request of the server and of
 * the database behind it.
 */
export async function load(candidate, { connections, seconds, tokens = [], bodies = [], path = '/api/usage', threads = 2 }) {
  const database = candidate.databasePid ? [candidate.databasePid] : [];
  const cpu = () => [cpuSeconds(candidate.pids(), database), cpuSeconds(database)];
  const before = cpu();
  const output = await run(
    'wrk',
    [
      '-t',
      String(Math.min(threads, connections)),
      '-c',
      String(connections),
      '-d',
      `${seconds}s`,
      '--timeout',
      '10s',
      '-s',
      script,
      `http://127.0.0.1:${candidate.port}${path}`,
    ],
    { env: { BENCH_TOKENS: tokens.join(' '), BENCH_BODIES: bodies.join(' ') }, seconds: seconds + 30 },
  );
  const after = cpu();
  const result = JSON.parse(output.trim().split('\n').at(-1));
  if (result.failures > 0)
    throw new Error(`${candidate.name}: ${result.failures} of ${result.requests} requests failed`);
  const perRequest = index => ((after[index] - before[index]) * 1e6) / result.requests;
  return {
    rate: (result.requests * 1e6) / result.microseconds,
    p50: result.p50,
    p99: result.p99,
    serverCpu: perRequest(0),
    databaseCpu: database.length ? perRequest(1) : null,
  };
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function percentile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/**
 * Runs every measurement once per round, in turn, so that a slow minute of a shared machine falls
 * on all of them. `measurements` is a list of [name, async function]; returns name -> the median of
 * each number.
 */
export async function alternate(measurements, rounds, say) {
  const all = new Map(measurements.map(([name]) => [name, []]));
  for (let round = 1; round <= rounds; ++round)
    for (const [name, measureOnce] of measurements) {
      const result = await measureOnce();
      all.get(name).push(result);
      say(
        `  round ${round}/${rounds}  ${name.padEnd(20)} ${Math.round(result.rate).toLocaleString('en').padStart(9)}/s`,
      );
    }
  return new Map(
    [...all].map(([name, results]) => [
      name,
      Object.fromEntries(
        Object.keys(results[0]).map(key => [
          key,
          results[0][key] === null ? null : median(results.map(r => r[key])),
        ]),
      ),
    ]),
  );
}

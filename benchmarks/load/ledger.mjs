// The ledger of credits of one user with many entries, by the C++ program that calls the service's
// own functions on a private cluster.
import { programs } from './postgres.mjs';
import { run } from './processes.mjs';

/** Returns what the program prints: entries, callsPerSecond, and microseconds by percentile. */
export async function measureLedger(binary, { entries, reads }, workDir) {
  const output = await run(binary, [workDir, programs(), String(entries), String(reads)], {
    seconds: 900,
  });
  return JSON.parse(output);
}

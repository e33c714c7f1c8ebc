// Starts and stops what a benchmark needs, and reads from /proc what it cost.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

const running = new Map(); // child process -> how long it may take to stop, in ms
// USER_HZ: fixed by Linux's interface to user space on every architecture we build for
const ticksPerSecond = 100;
const pageSize = 4096;

/** Starts a server that stays until `stop` or `stopAll`; its output goes to the file `log`. */
export function start(command, args, { env = {}, cwd, log, stopWithin = 10_000 } = {}) {
  const output = log ? openSync(log, 'a') : 'ignore';
  // A process group of its own: a Ctrl-C in the terminal reaches only this harness, which then
  // stops everything once and in order. A second signal would make some servers drop their own
  // children.
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    cwd,
    stdio: ['ignore', output, output],
    detached: true,
  });
  if (log) closeSync(output);
  child.log = log;
  child.failure = new Promise(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`ended with ${signal ?? code}`));
  });
  running.set(child, stopWithin);
  child.failure.then(() => running.delete(child));
  return child;
}

export async function stop(child) {
  if (!child || !running.has(child)) return;
  const within = running.get(child);
  child.kill('SIGTERM');
  if (await Promise.race([child.failure, sleep(within, null, { ref: false })])) return;
  child.kill('SIGKILL');
  await child.failure;
}

/** Newest first: the service is stopped before what it was started after. */
export async function stopAll() {
  for (const child of [...running.keys()].reverse()) await stop(child);
}

/**
 * Runs a command to its end and returns what it printed; throws with its error output when it fails
 * or is late.
 */
export function run(command, args, { env = {}, cwd, input, seconds = 120 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, cwd, detached: true });
    running.set(child, 5_000);
    child.failure = new Promise(ended =>
      child.once('close', (code, signal) => ended(String(signal ?? code))),
    );
    let output = '',
      errors = '';
    const late = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    child.stdout.on('data', data => {
      output += data;
    });
    child.stderr.on('data', data => {
      errors = (errors + data).slice(-4000);
    });
    child.on('error', error => {
      clearTimeout(late);
      running.delete(child);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(late);
      running.delete(child);
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            `${command} ${args[0] ?? ''}: ${signal ? `stopped by ${signal}` : `exit ${code}`}\n${errors || output}`,
          ),
        );
    });
    // a command that ends without reading its input is judged by its exit code
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .once('error', reject)
      .listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        server.close(() => resolve(port));
      });
  });
}

/** Waits until `url` answers 200, or throws when the server ended or `seconds` have passed. */
export async function waitUntilReady(child, url, seconds, headers = {}) {
  let ended;
  child.failure.then(reason => {
    ended = reason;
  });
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(50)) {
    if (ended)
      throw new Error(`${child.spawnfile} ${ended} before it was ready\n${lastLines(child.log)}`);
    try {
      const answer = await fetch(url, { headers, signal: AbortSignal.timeout(2000) });
      await answer.arrayBuffer();
      if (answer.status === 200) return;
    } catch {
      /* not listening yet */
    }
  }
  throw new Error(
    `${child.spawnfile}: ${url} did not answer 200 within ${seconds} s\n${lastLines(child.log)}`,
  );
}

function lastLines(log) {
  return log ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-20).join('\n') : '';
}

/**
 * CPU seconds used so far by the processes `roots` and their descendants, leaving out the trees
 * under `without`. Children that have ended are in their parent's cutime and cstime, so the sum
 * never goes backwards.
 */
export function cpuSeconds(roots, without = []) {
  const children = new Map(),
    ticks = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
      // the name before may hold spaces
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const pid = Number(entry),
        parent = Number(fields[1]);
      ticks.set(
        pid,
        fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0),
      );
      children.set(parent, [...(children.get(parent) ?? []), pid]);
    } catch {
      /* ended while we looked */
    }
  }
  const sum = pid =>
    without.includes(pid)
      ? 0
      : (ticks.get(pid) ?? 0) +
        (children.get(pid) ?? []).reduce((total, child) => total + sum(child), 0);
  return roots.reduce((total, root) => total + sum(root), 0) / ticksPerSecond;
}

/** Resident bytes of one process. */
export function residentBytes(pid) {
  return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * pageSize;
}

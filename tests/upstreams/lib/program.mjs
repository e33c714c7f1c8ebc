import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/// What the stand-ins have in common as programs: options, ports, the ready line, the end.

export class UsageError extends Error {}

export function listen(server, port) {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(port, '127.0.0.1', () => done(server));
  });
}

export function close(server) {
  return new Promise((done) => {
    server.close(done);
    server.closeAllConnections();
  });
}

export function readFlags(options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
}

export function number(values, name, most) {
  const value = Number(values[name]);
  if (!/^\d+$/.test(values[name]) || value > most) throw new UsageError(`bad --${name}`);
  return value;
}

/// Prints the ready line; SIGTERM, SIGINT or, if asked, the end of the parent closes the server.
export function serve(server, ready, { dieWithParent }) {
  const stop = () => server.close().then(() => process.exit(0));
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop);
  if (dieWithParent) stopWithParent(stop);
  console.log(JSON.stringify({ ready: true, ...ready }));
}

// Node has no prctl; an orphan is given to another parent, which shows within half a second.
function stopWithParent(stop) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    stop();
  }, 500);
}

/// Runs `main` if the module at `url` is the program; exit 2 and the usage for a wrong call.
export function runIfMain(url, name, usage, main) {
  if (!process.argv[1] || realpathSync(process.argv[1]) !== fileURLToPath(url)) return;
  main().catch((error) => {
    const isMisuse = error instanceof UsageError;
    console.error(isMisuse ? `${error.message}\n\n${usage}` : `${name}: ${error.message}`);
    process.exit(isMisuse ? 2 : 1);
  });
}

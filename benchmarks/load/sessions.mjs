// What sessions and idle connections cost in memory, and how fast a passivated user is back.
import { residentBytes, sleep } from './processes.mjs';
import { percentile } from './measure.mjs';
import { createUsers } from './schema.mjs';
import { claimsOf, signer } from './tokens.mjs';
import { Connection, inParallel } from './wire.mjs';

const path = '/api/usage';
const lanes = 32;

/** Asks once for each user over a few kept connections; every answer must be a 200. */
async function visit(service, tokens) {
  const connections = await Promise.all(
    Array.from({ length: lanes }, () => Connection.open(service.port)),
  );
  await inParallel(tokens.length, lanes, async (index, lane) => {
    const { status, body } = await connections[lane].get(path, tokens[index]);
    if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${body}`);
  });
  for (const connection of connections) connection.close();
}

export async function userTokens(service, count) {
  const sample = await service.token('bench-sample@example.org');
  const users = await createUsers(service.postgres, count, claimsOf(sample).sub);
  const sign = signer(sample, service.signingKey);
  const tokens = new Array(count);
  await inParallel(count, 16, async index => {
    tokens[index] = await sign(users[index]);
  });
  return tokens;
}

/** Two passes: sessions just used, with a cached answer, and sessions that have been idle since. */
export async function measureSessions(service, count, say) {
  await service.start();
  say(`  signing ${count.toLocaleString('en')} tokens`);
  const warmUp = 1000; // threads, pools and tables grow once; that is no session's cost
  const tokens = await userTokens(service, count + warmUp);
  await service.stop();
  const results = {};
  for (const [name, cacheIdle, settle] of [
    ['with its cached answer', '1h', 2_000],
    // The sweep looks at every session once in 32 seconds.
    ['without a cached answer', '1s', 40_000],
  ]) {
    await service.start({
      BINNACLE_SESSION_IDLE: '1h',
      BINNACLE_SESSION_CACHE_IDLE: cacheIdle,
    });
    await visit(service, tokens.slice(0, warmUp));
    await sleep(1000);
    const before = residentBytes(service.pid);
    // In five parts, as users come over a day: what one part needed for a moment, the next uses again.
    for (let part = 0; part < 5; ++part) {
      await visit(service, tokens.slice(warmUp + (part * count) / 5, warmUp + ((part + 1) * count) / 5));
      await sleep(settle);
    }
    results[name] = (residentBytes(service.pid) - before) / count;
    say(`  session ${name}: ${Math.round(results[name])} bytes`);
    await service.stop();
  }
  return results;
}

/**
 * Opens `count` connections to `server` and lets each ask once; returns the resident bytes each one
 * adds. Sources are spread over 127.0.1.x, as behind no proxy the clients' addresses would be.
 */
export async function measureConnections(server, count, token) {
  const pids = server.pids();
  const resident = () => pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
  const connections = [];
  const openOne = async index => {
    const connection = await Connection.open(server.port, `127.0.1.${1 + (index % 100)}`);
    connections.push(connection);
    const { status } = await connection.get(path, token);
    if (status !== 200)
      throw new Error(`GET ${path} answered ${status} on connection ${connections.length}`);
  };
  try {
    await inParallel(100, lanes, openOne); // what grows once is not a connection's cost
    await sleep(500);
    const before = resident();
    await inParallel(count, lanes, openOne);
    await sleep(2000);
    const grown = resident() - before;
    const open = connections.filter(connection => connection.isOpen).length;
    if (open !== count + 100)
      throw new Error(`only ${open} of ${count + 100} connections stayed open`);
    return grown / count;
  } finally {
    for (const connection of connections) connection.close();
  }
}

/**
 * First answers of users whose sessions were passivated after a second, against answers of a
 * resident session.
 */
export async function measureFirstAnswers(service, count) {
  await service.start({ BINNACLE_SESSION_IDLE: '1s', BINNACLE_SESSION_CACHE_IDLE: '1s' });
  const tokens = await userTokens(service, count);
  await visit(service, tokens);
  let resident;
  for (const end = Date.now() + 45_000; Date.now() < end; await sleep(500)) {
    resident = await service.metric('binnacle_sessions');
    if (resident !== null && resident <= 1) break; // one may be this harness's own, for its address
  }
  const connection = await Connection.open(service.port);
  const timed = async token => {
    const began = process.hrtime.bigint();
    const { status, body } = await connection.get(path, token);
    if (status !== 200) throw new Error(`GET ${path} answered ${status}: ${body}`);
    return Number(process.hrtime.bigint() - began) / 1000;
  };
  await timed(tokens[0]); // the connection's own first request
  const first = [],
    second = [];
  for (const token of tokens.slice(1)) {
    first.push(await timed(token));
    second.push(await timed(token));
  }
  connection.close();
  await service.stop();
  return {
    firstP50: percentile(first, 0.5),
    firstP99: percentile(first, 0.99),
    residentP50: percentile(second, 0.5),
    passivated: resident !== null && resident <= 1,
  };
}

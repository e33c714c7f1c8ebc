// The whole benchmark in one run; scripts/bench builds first and then calls this. `--help` lists
// the options.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { benchKeys, keySettings, verify } from './keys.mjs';
import { measureCollector } from './collector.mjs';
import { measureImport } from './import.mjs';
import { measureLedger } from './ledger.mjs';
import { alternate, load } from './measure.mjs';
import { measureListeners } from './listeners.mjs';
import { measureMeters } from './meters.mjs';
import { readOptions, root } from './options.mjs';
import { Beast, Fastify, Nginx, saveAnswer } from './peers.mjs';
import { run, stopAll } from './processes.mjs';
import { measureProjectUsers } from './project_users.mjs';
import { print, save } from './report.mjs';
import { seedUsage } from './schema.mjs';
import { Service } from './service.mjs';
import { measureConnections, measureFirstAnswers, measureSessions } from './sessions.mjs';
import { claimsOf } from './tokens.mjs';
import { bareInserts, peak, steady, webhookSettings } from './webhooks.mjs';

const say = text => console.log(text);

/** Adds a table of loads; `against` gets a ratio per row: the service's rate to that row's. */
function addLoad(results, title, medians) {
  const own = medians.get('binnacle').rate;
  const rows = [...medians].map(([name, numbers]) => ({
    name,
    ...numbers,
    ratio: name === 'binnacle' ? null : own / numbers.rate,
  }));
  results.loads.push({ title, rows });
  return name => rows.find(row => row.name === name);
}

const aim = (results, what, value, limit, { atMost = false, unit = '' } = {}) =>
  results.aims.push({ what, value, limit, atMost, unit });

/** Two users with a month of usage, and their tokens: one for each of wrk's threads. */
async function benchUsers(service) {
  const tokens = [];
  for (const email of ['bench-1@example.org', 'bench-2@example.org']) {
    const token = await service.token(email);
    await seedUsage(service.postgres, claimsOf(token).sub);
    tokens.push(token);
  }
  return tokens;
}

/** Sections 1 and 5: the warm service, with its access log, against the three peers. */
async function warm(service, options, results, workDir) {
  await service.start({ BINNACLE_LOG_ACCESS_FILE: join(workDir, 'access.log') });
  const tokens = await benchUsers(service);
  const answer = await service.request('/api/usage', { token: tokens[0] });
  if (answer.status !== 200)
    throw new Error(`GET /api/usage answered ${answer.status}: ${answer.body}`);
  const saved = saveAnswer(answer, workDir);
  const beast = new Beast(saved, tokens[0], options.beast);
  const peers = [
    new Nginx(saved, tokens[0], workDir),
    beast,
    new Fastify(service, tokens[0], workDir),
    new Fastify(service, tokens[0], workDir, { cached: true }),
  ];
  for (const peer of peers) await peer.start();
  await checkSameAnswer(peers, tokens[0], JSON.parse(answer.body), results);

  const candidates = [service, ...peers];
  const measurements = (who, connections) =>
    who.map(one => [one.name, () => load(one, { connections, seconds: options.seconds, tokens })]);
  for (const one of candidates)
    await load(one, { connections: options.connections, seconds: 2, tokens });
  if (options.sections.includes('usage')) {
    say(`warm GET /api/usage, ${options.connections} connections`);
    const medians = await alternate(
      measurements(candidates, options.connections),
      options.rounds,
      say,
    );
    const row = addLoad(
      results,
      `GET /api/usage warm, ${options.connections} connections`,
      medians,
    );
    aim(results, 'warm, against nginx', row('nginx').ratio, 0.8);
    aim(results, 'warm, against plain Beast', row('plain Beast').ratio, 0.9);
    aim(results, 'warm, against Fastify', row('Fastify').ratio, 6);
  }
  if (options.sections.includes('latency')) {
    say('GET /api/usage, one connection');
    const medians = await alternate(measurements([service, beast], 1), options.rounds, say);
    const row = addLoad(results, 'GET /api/usage warm, 1 connection', medians);
    aim(
      results,
      "p50 at one connection, to plain Beast's",
      row('binnacle').p50 / row('plain Beast').p50,
      1.5,
      { atMost: true },
    );
  }
  for (const peer of peers) await peer.stop();
  await service.stop();
}

/** A peer that answers something else is measured for other work; the report then says so. */
async function checkSameAnswer(peers, token, expected, results) {
  for (const peer of peers) {
    const answer = await fetch(`http://127.0.0.1:${peer.port}/api/usage`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const body = await answer.json();
    const different = Object.keys({ ...expected, ...body }).filter(
      key => !isDeepStrictEqual(body[key], expected[key]),
    );
    if (different.length) {
      say(`  ${peer.name} answers other values of ${different.join(', ')}: ${JSON.stringify(body)}`);
      results.notes.push(`${peer.name} answered other values of ${different.join(', ')}.`);
    }
  }
}

/** Section 2: every answer made from the database, against pgbench's reads by primary key. */
async function cold(service, options, results) {
  await service.start({ BINNACLE_CACHE_ENABLED: 'false' });
  const tokens = await benchUsers(service);
  const { postgres } = service;
  await postgres.preparePgbench();
  const connections = Math.min(options.connections, await postgres.freeConnections());
  if (connections < options.connections)
    results.notes.push(
      `pgbench ran with ${connections} connections: the cluster has no more to give.`,
    );
  await load(service, { connections: options.connections, seconds: 2, tokens });
  say(`cold GET /api/usage, ${options.connections} connections`);
  const medians = await alternate(
    [
      [
        'binnacle',
        () => load(service, { connections: options.connections, seconds: options.seconds, tokens }),
      ],
      ['pgbench -S', () => postgres.pgbench({ connections, seconds: options.seconds })],
    ],
    options.rounds,
    say,
  );
  const row = addLoad(
    results,
    `GET /api/usage cold (cache off), ${options.connections} connections`,
    medians,
  );
  aim(results, 'cold, against pgbench -S -M prepared', row('pgbench -S').ratio, 0.7);
  await service.stop();
}

/** Section 3. */
async function memory(service, options, results, workDir) {
  say('memory');
  const sessions = await measureSessions(service, options.sessions, say);
  const bytes = value => `${Math.round(value).toLocaleString('en')} bytes`;
  for (const [name, value] of Object.entries(sessions))
    results.facts.push([
      `resident session ${name} (${options.sessions.toLocaleString('en')} of them)`,
      bytes(value),
    ]);
  aim(results, 'memory of a resident session', sessions['with its cached answer'], 2048, {
    atMost: true,
    unit: 'bytes',
  });

  await service.start({
    BINNACLE_HTTP_MAX_CONNECTIONS: '20000',
    BINNACLE_HTTP_MAX_CONNECTIONS_PER_ADDRESS: '20000',
    BINNACLE_HTTP_IDLE_TIMEOUT: '10min',
  });
  const [token] = await benchUsers(service);
  const saved = saveAnswer(await service.request('/api/usage', { token }), workDir);
  const beast = new Beast(saved, token, options.beast);
  await beast.start();
  const idle = await measureConnections(service, options.idleConnections, token);
  const beastIdle = await measureConnections(beast, options.idleConnections, token);
  await beast.stop();
  await service.stop();
  results.facts.push(
    [`idle connection (${options.idleConnections.toLocaleString('en')} of them)`, bytes(idle)],
    ['the same, plain Beast', bytes(beastIdle)],
  );
  aim(results, 'memory of an idle connection', idle, 12 * 1024, { atMost: true, unit: 'bytes' });

  const first = await measureFirstAnswers(service, 500);
  if (!first.passivated)
    results.notes.push(
      'Passivation could not be seen in /metrics: "first answer" may be of resident sessions.',
    );
  results.facts.push(
    ['first answer of a passivated user, p50', `${Math.round(first.firstP50)} µs`],
    ['first answer of a passivated user, p99', `${Math.round(first.firstP99)} µs`],
    ['next answer of the same user, p50', `${Math.round(first.residentP50)} µs`],
  );
}

/** Section 4. */
async function collector(service, options, results, workDir) {
  say('collector');
  const { rows, seconds, copySeconds } = await measureCollector(service, options, workDir, say);
  const rate = (count, time) => `${Math.round(count / time).toLocaleString('en')} rows/s`;
  results.facts.push(
    [`collected and booked, ${rows.toLocaleString('en')} namespace-hours`, rate(rows, seconds)],
    ['COPY of the same rows into a bare table', rate(rows, copySeconds)],
  );
  aim(results, 'collector, against COPY', copySeconds / seconds, 0.25);
}

/** Section 6. */
async function ledger(options, results, workDir) {
  say('ledger');
  const measured = await measureLedger(
    options.ledger,
    { entries: options.entries, reads: 20_000 },
    workDir,
  );
  const of = `of a user with ${measured.entries.toLocaleString('en')} entries`;
  const time = microseconds => `${(microseconds / 1000).toFixed(3)} ms`;
  results.facts.push(
    [`balance ${of}, p50`, time(measured.balanceP50)],
    ['the same, p99', time(measured.balanceP99)],
    [`a use ${of}, committed, p50`, time(measured.useP50)],
    ['the same, p99', time(measured.useP99)],
    ['grants, uses and refunds, a thousand per commit', `${measured.callsPerSecond}/s`],
    ['verification of the whole ledger', time(measured.verifyP50)],
  );
  aim(results, `balance ${of}, p99`, measured.balanceP99, 1000, { atMost: true, unit: 'µs' });
}

/** Section 7: a commit to disk for every event, against bare inserts of the same rows. */
async function webhooks(service, options, results, workDir) {
  say('webhooks');
  await service.start(webhookSettings);
  const { p50, p99 } = await steady(service, { rate: 200, seconds: options.seconds });
  results.facts.push(
    ['webhook at a steady 200/s, p50', `${p50.toFixed(2)} ms`],
    ['the same, p99', `${p99.toFixed(2)} ms`],
  );
  aim(results, 'webhook at a steady 200/s, p99', p99, 20, { atMost: true, unit: 'ms' });
  const connections = Math.min(options.connections, await service.postgres.freeConnections());
  const medians = await alternate(
    [
      ['binnacle', () => peak(service, { connections, seconds: options.seconds })],
      ['pgbench, bare INSERT', () => bareInserts(service, { connections, seconds: options.seconds }, workDir)],
    ],
    options.rounds,
    say,
  );
  const row = addLoad(results, `webhooks, stored durably, ${connections} connections`, medians);
  aim(results, 'webhooks, against bare INSERTs', row('pgbench, bare INSERT').ratio, 0.5);
  await service.stop();
}

/** Section 8. */
async function meters(service, options, results) {
  say('meters');
  const { customers, reports, seconds, standIn } = await measureMeters(service, options.customers);
  results.facts.push(
    [`sync of the meters of ${customers.toLocaleString('en')} customers`, `${Math.round(customers / seconds)} customers/s`],
    ['the same, reports', `${Math.round(reports / seconds)}/s`],
    ["the same, the stand-in's share of one core", `${Math.round((100 * standIn) / seconds)} %`],
  );
}

/** Section 9. */
async function listeners(service, options, results) {
  say('listeners');
  const count = Math.min(options.idleConnections, 10_000);
  const { bytes, notified } = await measureListeners(service, count, say);
  const of = count.toLocaleString('en');
  results.facts.push(
    [`listener of GET /api/events, its session included (${of} of them)`, `${Math.round(bytes).toLocaleString('en')} bytes`],
    [`from NOTIFY to the last of ${of} listeners (psql's start included)`, `${Math.round(notified * 1000)} ms`],
  );
}

/** Section 10. */
async function imports(service, options, results, workDir) {
  say('import');
  const measured = await measureImport(service, options, workDir, say);
  const rate = time => `${Math.round(measured.rows / time).toLocaleString('en')} rows/s`;
  results.facts.push(
    [`import of ${measured.rows.toLocaleString('en')} orders`, rate(measured.seconds)],
    ['the same once more, nothing changed', rate(measured.againSeconds)],
    ['COPY of the same rows into a bare table', rate(measured.copySeconds)],
    ['COPY of the same rows into a table with their indexes and constraints', rate(measured.likeSeconds)],
  );
  aim(results, 'import, against COPY into such a table', measured.likeSeconds / measured.seconds, 0.3);
}

/** Section 11: the same service, warm, by turns asked for usage and about keys. */
async function keys(service, options, results, workDir) {
  await service.start({ ...keySettings, BINNACLE_LOG_ACCESS_FILE: join(workDir, 'access.log') });
  const tokens = await benchUsers(service);
  const bodies = await benchKeys(service, tokens);
  const { connections, seconds } = options;
  const candidates = [
    ['binnacle', settings => verify(service, { bodies, ...settings })],
    ['GET /api/usage warm', settings => load(service, { tokens, ...settings })],
  ];
  for (const [, measureOnce] of candidates) await measureOnce({ connections, seconds: 2 });
  say(`verification of API keys, ${connections} connections`);
  const medians = await alternate(
    candidates.map(([name, measureOnce]) => [name, () => measureOnce({ connections, seconds })]),
    options.rounds,
    say,
  );
  const row = addLoad(results, `POST /auth/verify-key, ${connections} connections`, medians);
  aim(results, 'key verifications, against warm reads', row('GET /api/usage warm').ratio, 0.9);
  await service.stop();
}

/** Section 12. */
async function projectUsers(service, options, results) {
  say('users of a project');
  const of = options.users.toLocaleString('en');
  const found = await measureProjectUsers(service, options.users, 1000);
  const shown = ({ p50, p99, cpu }) =>
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${cpu.toFixed(1)} ms of the service's CPU`;
  results.facts.push(
    [`first page of a project of ${of} users`, `${(found.first / 1000).toFixed(1)} s`],
    ['what it leaves in memory', `${Math.round(found.bytes / 1e6)} MB`],
    ['any page of them afterwards', shown(found.pages)],
    ['any page, after a login each', shown(found.afterLogin)],
    ['a search for three characters or more', shown(found.searches)],
    ['any page of a search that finds half of them', shown(found.deepSearches)],
  );
  for (const [what, { p99 }] of [['any page', found.pages], ['a search', found.searches], ['any page of a search', found.deepSearches]])
    aim(results, `users of a project of ${of}: ${what}, p99`, p99, 20, { atMost: true, unit: ' ms' });
}

async function describe(options) {
  const commit = await run('git', ['-C', root, 'rev-parse', '--short', 'HEAD']).catch(
    () => 'unknown',
  );
  const { sections, rounds, seconds, connections, sessions, idleConnections, rows } = options;
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit.trim(),
    machine: {
      cpu: cpus()[0].model.trim(),
      cores: cpus().length,
      kernel: release(),
      node: process.version,
    },
    options: { sections, rounds, seconds, connections, sessions, idleConnections, rows },
    loads: [],
    facts: [],
    aims: [],
    notes: [],
  };
}

/**
 * Fewer connections where the limit on open files allows no more; both ends of each are ours or a
 * child's.
 */
function fitToOpenFiles(options, results) {
  const allowed = Number(
    /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity,
  );
  const possible = allowed - 1000;
  if (options.idleConnections <= possible) return;
  results.notes.push(
    `Idle connections: ${possible} instead of ${options.idleConnections}, by the limit on open files.`,
  );
  options.idleConnections = possible;
}

async function main() {
  const options = readOptions();
  const workDir = mkdtempSync(join(tmpdir(), 'binnacle-bench-'));
  chmodSync(workDir, 0o755); // started by root, PostgreSQL and nginx's workers are other users
  const services = [];
  // the first reason to end decides; what fails while everything is stopped is no news
  let finished;
  const finish = code =>
    (finished ??= (async () => {
      await stopAll();
      // what a service that was killed left behind
      for (const service of services) await service.stop();
      rmSync(workDir, { recursive: true, force: true });
      process.exit(code);
    })());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => finish(130));
  setTimeout(() => {
    console.error(`given up after ${options.limit} minutes`);
    finish(1);
  }, options.limit * 60_000).unref();

  try {
    const results = await describe(options);
    fitToOpenFiles(options, results);
    // Each section's service starts on data of its own, so that no section's leftovers weigh on the
    // next.
    const fresh = name => {
      const folder = join(workDir, name);
      mkdirSync(folder, { mode: 0o755 });
      services.push(new Service({ binary: options.binary, workDir: folder }));
      return [services.at(-1), options, results, folder];
    };
    const wanted = (...names) => names.some(name => options.sections.includes(name));
    if (wanted('usage', 'latency')) await warm(...fresh('warm'));
    if (wanted('cold')) await cold(...fresh('cold'));
    if (wanted('memory')) await memory(...fresh('memory'));
    if (wanted('collector')) await collector(...fresh('collector'));
    if (wanted('ledger')) await ledger(options, results, join(workDir, 'ledger'));
    if (wanted('webhooks')) await webhooks(...fresh('webhooks'));
    if (wanted('meters')) await meters(...fresh('meters'));
    if (wanted('listeners')) await listeners(...fresh('listeners'));
    if (wanted('import')) await imports(...fresh('import'));
    if (wanted('keys')) await keys(...fresh('keys'));
    if (wanted('users')) await projectUsers(...fresh('users'));
    print(results);
    if (options.output) {
      save(results, options.output);
      say(`written: ${join(options.output, 'results.md')}, results.json, results.svg`);
    }
    await finish(0);
  } catch (error) {
    if (!finished) console.error(`bench: ${error.message}`);
    await finish(1);
  }
}

await main();

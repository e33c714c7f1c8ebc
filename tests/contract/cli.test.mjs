import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  HOUR, PASSWORD, assertClose, awayFromTheHour, digits, expect, expectedUsage, freePort, gigabytes,
  decimalText, iso, makeDirectory, run, startCompany, startService, until, subjectOf,
} from './harness.mjs';

const NAMESPACES = ['analytics', 'fraud-detection', 'recommender'];
const COMMANDS = ['serve', 'migrate', 'collect', 'sync-stripe', 'disputes', 'reconcile', 'price', 'token', 'user', 'project', 'person', 'import', 'doctor', 'version',
  'settings'];
let company, service, standIn, empty, now;
before(async () => {
  now = await awayFromTheHour();
  empty = makeDirectory();
  company = await startCompany({ env: { BINNACLE_RATE_LIMIT_SCALE: '1' },
    standIn: ['--namespaces', NAMESPACES.join(',')] });
  ({ service, standIn } = company);
});
after(() => company?.stop());

const booked = () => service.sql(`SELECT count(*) FROM usage_hourly`)[0][0];

// -- help and mistakes ------------------------------------------------------------------------------

for (const command of COMMANDS)
  test(`${command} --help explains itself`, async () => {
    const { code, stdout, stderr } = await run(empty, [command, '--help']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Usage|usage/);
    assert.match(stdout, new RegExp(command));
  });

test('--help lists every command', async () => {
  const { code, stdout } = await run(empty, ['--help']);
  assert.equal(code, 0);
  for (const command of COMMANDS) assert.match(stdout, new RegExp(`^ +${command}\\b`, 'm'));
});

for (const [what, args] of [
  ['no command', []], ['an unknown command', ['dance']], ['an unknown option', ['serve', '--fast']],
  ['token without an address', ['token']], ['token with half an address', ['token', '--email', 'ada']],
  ['user without a name', ['user']], ['a range with half an hour', ['collect', '--from',
    '2026-01-01T00:30:00Z', '--to', '2026-01-01T02:00:00Z']],
  ['a range without an end', ['collect', '--from', '2026-01-01T00:00:00Z']],
  ['a range that ends before it begins', ['collect', '--from', '2026-01-02T00:00:00Z', '--to',
    '2026-01-01T00:00:00Z']],
]) {
  test(`${what} is a wrong call: exit 2 and a word about it`, async () => {
    const { code, stdout, stderr } = await run(empty, args);
    assert.equal(code, 2, stderr);
    assert.ok((stderr + stdout).length > 10);
  });
}

test('none of that has made a database', () => {
  assert.ok(!existsSync(join(empty, 'data/postgres')));
});

test('version prints one line', async () => {
  const { code, stdout } = await run(empty, ['version']);
  assert.equal(code, 0);
  assert.match(stdout, /^binnacle \S+\n$/);
});

test('settings shows values, and of secrets only whether they are set', async () => {
  const { code, stdout } = await run(empty, ['settings', '--set', 'http.max_connections=77'],
    { env: { CRON_SECRET: 'do-not-print-me' } });
  assert.equal(code, 0);
  assert.match(stdout, /^http\.max_connections = 77$/m);
  assert.match(stdout, /^cron_secret = \(set\)$/m);
  assert.doesNotMatch(stdout, /do-not-print-me/);
});

// -- configuration ----------------------------------------------------------------------------------

for (const [what, toml, env, words] of [
  ['an unknown key', 'speed = "fast"', {}, ['speed']],
  ['an unknown key of an area', '[http]\nlisten_on = "x"', {}, ['http.listen_on']],
  ['a value of the wrong kind', '[http]\nmax_connections = "many"', {}, ['http.max_connections', 'many']],
  ['a value out of bounds', '[http]\nmax_connections = 0', {}, ['http.max_connections']],
  ['a bad duration', '[session]\nidle = "soon"', {}, ['session.idle']],
  ['a bad limit', '[limits]\nplatform_default = "many"', {}, ['limits.platform_default']],
  ['a secret in the file', 'cron_secret = "s3cret-value"', {}, ['cron_secret', 'CRON_SECRET']],
  ['an issuer without keys', '[[identity.issuers]]\nissuer = "x"', {}, ['identity.issuers']],
  ['a broken file', 'http = [', {}, ['line 1']],
  ['a bad variable', '', { BINNACLE_HTTP_THREADS: '-3' }, ['BINNACLE_HTTP_THREADS', 'http.threads']],
  ['a key that is none', '', { BINNACLE_ENCRYPTION_KEY: 'abc' }, ['encryption_key']],
  ['a file of a secret that is not there', '', { CRON_SECRET_FILE: '/nowhere/at/all' },
    ['CRON_SECRET_FILE', '/nowhere/at/all']],
  ['two mistakes', 'log_level = "loud"\ndeployment = "moon"', {}, ['log_level', 'deployment']],
]) {
  test(`a configuration with ${what} stops the start and names it`, async () => {
    const file = join(empty, 'binnacle.toml');
    writeFileSync(file, toml);
    for (const command of ['serve', 'doctor', 'migrate']) {
      const { code, stderr } = await run(empty, [command], { env: { BINNACLE_CONFIG: file, ...env } });
      assert.equal(code, 78, stderr);
      for (const word of words) assert.ok(stderr.includes(word), `${word} is not in: ${stderr}`);
      assert.doesNotMatch(stderr, /s3cret-value/);
    }
  });
}

test('a configuration file that is not there is a mistake', async () => {
  const { code, stderr } = await run(empty, ['settings', '--config', '/nowhere/binnacle.toml']);
  assert.notEqual(code, 0);
  assert.match(stderr, /nowhere/);
});

test('an unknown --set names itself', async () => {
  const { code, stderr } = await run(empty, ['settings', '--set', 'warp.speed=9']);
  assert.equal(code, 78);
  assert.match(stderr, /warp\.speed/);
});

// -- serve ------------------------------------------------------------------------------------------

test('a second service on the same data directory is refused by name', async () => {
  const { code, stderr, stdout } = await service.cli(['serve', '--listen', '127.0.0.1:0']);
  assert.equal(code, 69, stdout);
  assert.ok(stderr.includes(`process ${service.child.pid}`), stderr);
  assert.ok(stderr.includes(service.data), stderr);
  expect(await service.call('GET', '/readyz'), 200); // the first one is not disturbed
});

test('a port that is taken is refused by name, and nothing is left running', async () => {
  const { code, stderr } = await run(empty, ['serve'],
    { env: { BINNACLE_LISTEN: new URL(service.url).host } });
  assert.equal(code, 69, stderr);
  assert.ok(stderr.includes(new URL(service.url).port), stderr);
  assert.ok(!existsSync(join(empty, 'data/postgres/cluster/postmaster.pid')));
});

test('missing PostgreSQL programs are named with what to do', async () => {
  const directory = makeDirectory();
  const { code, stderr } = await run(directory, ['migrate'],
    { env: { BINNACLE_DATABASE_POSTGRES_BIN: '/nowhere/bin' } });
  assert.equal(code, 69);
  assert.match(stderr, /\/nowhere\/bin/);
  assert.match(stderr, /database\.postgres_bin/);
});

test('the address can be given in four ways, the nearest to the command wins', async () => {
  const directory = makeDirectory();
  // An address of its own: on 127.0.0.1 somebody may take the port meanwhile.
  const listen = `127.77.0.1:${await freePort()}`;
  const file = join(directory, 'binnacle.toml');
  writeFileSync(file, '[http]\nlisten = "127.0.0.1:1"');
  const other = await startService({ directory,
    env: { BINNACLE_CONFIG: file, BINNACLE_LISTEN: listen } });
  try {
    assert.equal(new URL(other.url).host, listen);
  } finally {
    await other.stop();
  }
});

test('a scale of the rate limits is warned about', async () => {
  const other = await startService({ env: { BINNACLE_RATE_LIMIT_SCALE: '7' } });
  try {
    assert.match(other.output, /WARNING.*7/);
    const token = await other.token('x@example.com');
    assert.equal((await other.call('GET', '/api/usage', { token })).headers['x-ratelimit-limit'], '420');
  } finally {
    await other.stop();
  }
});

// -- migrate ----------------------------------------------------------------------------------------

test('migrate first lists, then applies, then has nothing to do', async () => {
  const directory = makeDirectory();
  const listed = await run(directory, ['migrate', '--dry-run']);
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, /^would apply 0001_users$/m);
  const applied = await run(directory, ['migrate']);
  assert.equal(applied.stdout, listed.stdout.replaceAll('would apply', 'applied'));
  assert.equal((await run(directory, ['migrate'])).stdout, 'The schema is up to date.\n');
  assert.ok(!existsSync(join(directory, 'data/postgres/cluster/postmaster.pid')), 'stopped again');
});

test('a schema from a newer binary is refused', async () => {
  const other = await startService();
  try {
    other.sql(`INSERT INTO schema_migrations (number, name, checksum)
      SELECT max(number) + 1, 'from_the_future', 'x' FROM schema_migrations`);
    for (const command of [['migrate'], ['token', '--email', 'a@example.com']]) {
      const { code, stderr } = await other.cli(command);
      assert.notEqual(code, 0);
      assert.match(stderr, /from_the_future/);
      assert.match(stderr, /older than the schema/);
    }
    const { code, stdout } = await other.cli(['doctor']);
    assert.equal(code, 1);
    assert.match(stdout, /FAULT +schema/);
  } finally {
    await other.stop();
  }
});

// -- token, user, project ---------------------------------------------------------------------------

test('token makes the user once, and --admin makes an admin of him', async () => {
  const first = await service.token('Token@Example.com');
  assert.equal(first.split('.').length, 3);
  const second = await service.token('token@example.com');
  assert.equal(subjectOf(second), subjectOf(first));
  expect(await service.call('GET', '/api/admin/clusters', { token: second }), 403);
  const third = await service.token('token@example.com', '--admin');
  assert.equal(subjectOf(third), subjectOf(first));
  expect(await service.call('GET', '/api/admin/clusters', { token: third }), 200);
  expect(await service.call('GET', '/api/admin/clusters', { token: first }), 200); // the right is the user's
});

test('a suspended user gets no token', async () => {
  const id = subjectOf(await service.token('gone@example.com'));
  service.changeUser(id, `status = 'suspended'`);
  const { code, stdout, stderr } = await service.cli(['token', '--email', 'gone@example.com']);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /suspended/);
});

test('user reads the password from standard input and refuses bad ones', async () => {
  const id = await service.user('typed', { email: 'typed@example.com' });
  expect(await service.call('POST', '/api/auth/login',
    { body: { username: 'typed', password: PASSWORD } }), 200,
  { success: true, user: { id, username: 'typed' } });
  const add = (args, input) => service.cli(['user', ...args], { input });
  for (const [args, input] of [[['--username', 'short'], 'short\n'],
    [['--username', 'a b'], `${PASSWORD}\n`], [['--username', 'none'], ''],
    [['--username', 'mail', '--email', 'no'], `${PASSWORD}\n`]])
    assert.equal((await add(args, input)).code, 2, args.join(' '));
  const taken = await add(['--username', 'typed'], `${PASSWORD}\n`);
  assert.notEqual(taken.code, 0);
  assert.match(taken.stderr, /taken/);
});

test('project names who or what is missing', async () => {
  const add = (email, cluster) => service.cli(
    ['project', '--email', email, '--cluster', cluster, '--namespace', 'x']);
  for (const [email, cluster, word] of [['nobody@example.com', 'alpha', /nobody@example\.com/],
    ['token@example.com', 'omega', /omega/]]) {
    const { code, stderr } = await add(email, cluster);
    assert.equal(code, 1);
    assert.match(stderr, word);
  }
});

// -- collect ----------------------------------------------------------------------------------------

/// Collects [from, to) and compares the report with what the stand-in says there is.
async function collected(hours, ...more) {
  const [from, to] = [now - hours * HOUR, now];
  const { code, stdout, stderr } = await service.cli(
    ['collect', '--from', iso(from), '--to', iso(to), ...more]);
  assert.equal(code, 0, stderr + stdout);
  assert.doesNotMatch(stderr, /\[#/, 'a progress bar is for terminals');
  const text = stdout.split('\n').find((line) => line.startsWith('{"message"'));
  const expected = expectedUsage({ namespaces: NAMESPACES, from, to });
  const report = JSON.parse(text);
  assert.equal(report.hours, hours);
  assert.deepEqual(report.results.namespaces.map((n) => n.namespace), NAMESPACES);
  for (const name of NAMESPACES) {
    const part = text.slice(text.indexOf(`"namespace":"${name}"`));
    assertClose(digits(part, 'cpuHours'), expected[name].cpuCoreHours, 0, `${name}: cpu`);
    assertClose(digits(part, 'gpuHours'), expected[name].gpuHours, 0, `${name}: gpu`);
    assertClose(digits(part, 'ramGBHours'), decimalText(gigabytes(expected[name].ramByteHours)),
      2 * hours, `${name}: ram`);
  }
  return report;
}

test('a dry run shows the totals that are to be expected and books nothing', async () => {
  for (const name of NAMESPACES) await service.project('token@example.com', 'alpha', name);
  const before = booked();
  const report = await collected(30, '--dry-run');
  assert.equal(report.dryRun, true);
  assert.equal(booked(), before);
});

test('a collection books them, once', async () => {
  await collected(30);
  assert.equal(booked(), String(30 * NAMESPACES.length));
  const again = await service.cli(['collect', '--from', iso(now - 30 * HOUR), '--to', iso(now)]);
  assert.equal(again.code, 0);
  assert.match(again.stdout, /"hours":0[,}]/);
  await collected(30, '--again');
  assert.equal(booked(), String(30 * NAMESPACES.length));
  const expected = expectedUsage({ namespaces: ['analytics'], from: now - 30 * HOUR, to: now });
  const [[sum]] = service.sql(`SELECT sum(cpu_hours) FROM usage_hourly WHERE namespace = 'analytics'`);
  assertClose(sum, expected.analytics.cpuCoreHours, 0, 'in the database');
});

test('a namespace of nobody is named and no failure', async () => {
  const hour = now - 35 * HOUR;
  await standIn.command('PATCH', '/data', { [iso(hour)]: { orphan: { cpuCoreHours: 1 } } });
  const { code, stdout, stderr } = await service.cli(
    ['collect', '--from', iso(hour), '--to', iso(hour + HOUR)]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^binnacle: namespace alpha\/orphan has no owner$/m);
  assert.match(stdout, /Namespace orphan: No user mapping found/);
});

test('hours that could not be had make the exit code 1', async () => {
  await standIn.fail({ kind: 'status', status: 403, times: 100 });
  const { code, stdout } = await service.cli(
    ['collect', '--from', iso(now - 40 * HOUR), '--to', iso(now - 39 * HOUR)]);
  await standIn.recover();
  assert.equal(code, 1);
  assert.match(stdout, /services\/proxy/);
});

// -- doctor -----------------------------------------------------------------------------------------

test('a healthy installation has no faults', async () => {
  const { code, stdout } = await service.cli(['doctor']);
  assert.equal(code, 0, stdout);
  for (const line of [/^ok +configuration/m, /^ok +.*cluster/im, /^ok +database answers/m,
    /^ok +schema is up to date/m, /^ok +cluster alpha answers with 3 namespaces/m,
    /^ok +secrets/m, /^No faults found\.$/m]) assert.match(stdout, line);
  assert.doesNotMatch(stdout, /FAULT/);
});

test('a cluster that cannot be reached is a fault, with what to do', async () => {
  await standIn.fail({ kind: 'status', status: 401, times: 1 });
  const { code, stdout } = await service.cli(['doctor']);
  assert.equal(code, 1);
  assert.match(stdout, /^FAULT +cluster alpha: .*token.*\n +-> \S/m);
  assert.match(stdout, /^1 fault\(s\)\.$/m);
});

test('a cluster without a kubeconfig, open secrets and a scale are faults as well', async () => {
  expect(await service.call('POST', '/api/admin/clusters', { token: company.admin,
    body: { name: 'bare', api_url: 'https://bare.example.com' } }), 201);
  const { code, stdout } = await service.cli(['doctor'], { env: { BINNACLE_RATE_LIMIT_SCALE: '9' } });
  assert.equal(code, 1);
  assert.match(stdout, /^FAULT +cluster bare has no kubeconfig\n +-> .*update-kubeconfig/m);
  assert.match(stdout, /^FAULT +every rate limit is multiplied by 9\n +-> /m);
});

test('a database that cannot be reached is a fault', async () => {
  const directory = makeDirectory();
  const port = await freePort();
  const { code, stdout, stderr } = await run(directory, ['doctor'],
    { env: { DATABASE_URL: `postgresql://nobody:s3cret-word@127.0.0.1:${port}/none` } });
  assert.equal(code, 1, stderr);
  assert.match(stdout, /^FAULT +database: .*\n +-> /m);
  assert.doesNotMatch(stdout + stderr, /s3cret-word/);
});

test('a data directory that is a file is a fault', async () => {
  const directory = makeDirectory();
  mkdirSync(join(directory, 'place'));
  writeFileSync(join(directory, 'place/file'), '');
  const { code, stdout } = await run(directory, ['doctor'],
    { env: { BINNACLE_DATA_DIR: join(directory, 'place/file') } });
  assert.equal(code, 1);
  assert.match(stdout, /FAULT/);
});

test('a price holds from now or from a time on, and booked hours keep theirs', async () => {
  const add = (...more) => service.cli(['price', '--product', 'storage_offline_gb', ...more]);
  const shown = async () => (await service.call('GET', '/api/pricing')).json;
  const before = await shown();

  const added = await add('--unit-price', '0.04', '--stripe-price', 'price_1');
  assert.equal(added.code, 0, added.stderr);
  assert.match(added.stdout, /^storage_offline_gb costs 0\.04 from \S+ on\.$/m);
  assert.deepEqual(service.sql(`SELECT unit_price::float8, stripe_price_id FROM stripe_products
    WHERE product_type = 'storage_offline_gb'`), [['0.04', 'price_1']]);
  await until('the price is shown', async () =>
    JSON.stringify(await shown()) !== JSON.stringify(before));

  for (const [options, why] of [
    [['--unit-price', 'free'], /--unit-price/],
    [['--unit-price', '-1'], /not negative/],
    [['--unit-price', '1', '--from', 'soon'], /--from/],
  ]) {
    const refused = await add(...options);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, why);
  }
  const unknown = await service.cli(['price', '--product', 'ink', '--unit-price', '1']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /No such product/);
});

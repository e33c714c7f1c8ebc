// The service with a demo company: `scripts/serve --sandbox [options of binnacle serve]` runs this.
// Everything lives in $BINNACLE_DATA_DIR/sandbox; delete that directory to begin anew.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { demoSubscribers } from './subscribers.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const binary = join(root, 'build/release/binnacle');
const dataDir = resolve(process.env.BINNACLE_DATA_DIR || join(root, 'data'), 'sandbox');
const stateFile = join(dataDir, 'sandbox.json');

const cluster = 'harbour';
const subscriber = 'maria'; // of the assinante surface; her rows are in subscribers.mjs
const people = [
  { username: 'ana', projects: ['recommender', 'search'] },
  { username: 'ben', projects: ['fraud-detection'] },
  { username: 'chloe', projects: ['analytics', 'forecasting'] },
].map((person) => ({ ...person, email: `${person.username}@demo.example` }));
const namespaces = people.flatMap((person) => person.projects);
const historyDays = 61;
const dues = ['compute_credits', 'storage_online_gb', 'storage_offline_gb'];
const unitPrices = { compute_credits: '0.35', storage_online_gb: '0.5', storage_offline_gb: '0.03' };
const plans = ['pro', 'premium', 'enterprise'];
const packs = [100, 500, 1500];
const hour = 3_600_000;
const day = 24 * hour;
const readyWithin = 120_000;
const stopWithin = 60_000; // longer than the service's own patience with requests in flight

class Failure extends Error {}
class Stopped extends Error {}

const running = { children: new Set(), service: null, standIns: new Set(), up: null, stopping: false };

// -- state: passwords, ports, and how far the first run came --------------------------------------

function openState() {
  mkdirSync(dataDir, { recursive: true });
  const fresh = () => ({ password: `demo-${word()}`, cronSecret: word(16), ports: {}, done: [] });
  const completed = (state) =>
    ({ webhookSecret: `whsec_${word(16)}`, stripePorts: {}, hopsworksPorts: {}, r2Ports: {},
      resendPorts: {}, hubspotPorts: {}, auth0Secret: word(16), ...state });
  const state = completed(existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, 'utf8')) : fresh());
  save(state);
  return state;
}

function save(state) {
  writeFileSync(`${stateFile}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${stateFile}.new`, stateFile);
}

const iso = (time) => new Date(time).toISOString().replace('.000Z', 'Z');
const word = (bytes = 5) => randomBytes(bytes).toString('hex');

// -- processes ------------------------------------------------------------------------------------

/// In a process group of its own: Ctrl-C reaches only this program, which stops the parts in order.
function start(program, args, options) {
  const child = spawn(program, args, { cwd: root, detached: true, ...options });
  child.ended = new Promise((done) => {
    child.once('error', (error) => done({ code: 127, error }));
    child.once('close', (code, signal) => done({ code: code ?? 1, signal }));
  });
  running.children.add(child);
  child.ended.then(() => running.children.delete(child));
  return child;
}

/// On the ports that it had before, if they are free.
async function startStandIn(name, known, options = []) {
  const keep = join(dataDir, name);
  for (const ports of [known, {}]) {
    const child = start(process.execPath, [
      join(root, `tests/upstreams/${name}.mjs`), '--state', keep, '--die-with-parent',
      '--port', `${ports.api ?? 0}`, '--control-port', `${ports.control ?? 0}`, ...options,
    ], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (text) => (complaint += text));
    const line = await firstLine(child);
    if (line) {
      const said = JSON.parse(line);
      said.ports = { api: portOf(said.url), control: portOf(said.control) };
      running.standIns.add(child);
      return said;
    }
    if (!complaint.includes('EADDRINUSE')) throw new Failure(`the stand-in for ${name}: ${complaint.trim()}`);
  }
  throw new Failure(`the stand-in for ${name} finds no port`);
}

const portOf = (url) => Number(new URL(url).port);

async function firstLine(child) {
  const lines = createInterface({ input: child.stdout });
  return Promise.race([
    new Promise((done) => lines.once('line', done)),
    child.ended.then(() => null),
  ]);
}

/// Runs the service and shows what it says; resolves with its address once it answers.
async function startService(environment, args) {
  // setpriv ends the service in good order even when this program is killed.
  const child = start('setpriv', ['--pdeathsig', 'TERM', binary, 'serve', ...args], {
    env: environment, stdio: ['inherit', 'pipe', 'inherit'],
  });
  running.service = child;
  const url = await (running.up = new Promise((found) => {
    let hint = false; // how to make the first admin, which is done here
    createInterface({ input: child.stdout }).on('line', (line) => {
      hint = line.startsWith('Next:') || (hint && line.startsWith(' '));
      if (!hint) console.log(line);
      const ready = /^Binnacle is ready at (\S+)/.exec(line);
      if (ready) found(ready[1]);
    });
    child.ended.then(() => found(null));
  }));
  if (!url) throw new Stopped();
  const until = Date.now() + readyWithin;
  while (Date.now() < until) {
    if (running.stopping || !running.children.has(child)) throw new Stopped();
    const answer = await fetch(`${url}/readyz`).catch(() => null);
    if (answer?.ok) return url;
    await sleep(50);
  }
  throw new Failure(`${url}/readyz does not become ready`);
}

/// A command of binnacle beside the running service.
async function command(environment, args, { input, show = false } = {}) {
  if (running.stopping) throw new Stopped();
  const child = start(binary, args, {
    env: { BINNACLE_LOG_LEVEL: 'warn', ...environment }, stdio: ['pipe', 'pipe', show ? 'inherit' : 'pipe'],
  });
  let output = '';
  let complaint = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr?.on('data', (text) => (complaint += text));
  child.stdin.on('error', () => {}).end(input ?? '');
  const { code } = await child.ended;
  if (running.stopping) throw new Stopped();
  if (code === 0) return output.trim();
  throw Object.assign(new Failure(`binnacle ${args[0]} ended with ${code}: ${complaint.trim()}`),
    { complaint });
}

async function stopEverything() {
  running.stopping = true;
  await running.up; // half started, the service could leave its PostgreSQL behind
  for (const child of running.children) if (!running.standIns.has(child)) child.kill('SIGTERM');
  const last = setTimeout(() => running.service?.kill('SIGKILL'), stopWithin);
  const ended = await running.service?.ended;
  clearTimeout(last);
  for (const child of running.standIns) child.kill('SIGTERM');
  await Promise.all([...running.children].map((child) => child.ended));
  return ended;
}

// -- the demo company, made through the interfaces that everybody has ------------------------------

class Admin {
  constructor(url, password) {
    Object.assign(this, { url, credentials: { username: 'admin', password }, cookie: null });
  }
  async post(path, body) {
    const { answer, json } = await this.send('POST', path, body);
    if (answer.ok) return json;
    throw new Failure(`POST ${path}: ${answer.status} ${JSON.stringify(json)}`);
  }
  async get(path) {
    return (await this.send('GET', path)).json;
  }
  /// A write to the hub, as its front end sends it.
  async postToHub(path, body) {
    const { csrfToken } = await this.get('/api/csrf');
    const { answer, json } = await this.send('POST', path, body, { origin: this.url,
      'x-csrf-token': csrfToken, cookie: `${this.cookie}; csrf_token=${csrfToken}` });
    if (answer.ok) return json;
    throw new Failure(`POST ${path}: ${answer.status} ${JSON.stringify(json)}`);
  }
  async send(method, path, body, more = {}) {
    const headers = { ...(body && { 'content-type': 'application/json' }) };
    if (this.cookie) headers.cookie = this.cookie;
    Object.assign(headers, more);
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    const cookie = answer.headers.getSetCookie().find((text) => text.startsWith('session='));
    if (cookie) [this.cookie] = cookie.split(';');
    return { answer, json: await answer.json().catch(() => null) };
  }
  /// As somebody else; the cookie is kept for further calls.
  as(username) {
    const other = new Admin(this.url, this.credentials.password);
    other.credentials = { ...this.credentials, username };
    return other;
  }
  async logIn() {
    const { data } = await this.get('/api/setup');
    await this.post(data.setupRequired ? '/api/setup' : '/api/auth/login', this.credentials);
  }
}

/// Each step once; what an interrupted first run has done is not done again.
async function makeCompany({ state, url, environment, standIn, stripe, hopsworks, r2, resend, hubspot }) {
  const admin = new Admin(url, state.password);
  // Not before: the data directory is ours now.
  Object.assign(state, {
    ports: standIn.ports, stripePorts: stripe.ports, hopsworksPorts: hopsworks.ports, r2Ports: r2?.ports ?? {},
    resendPorts: resend.ports, hubspotPorts: hubspot.ports,
  });
  const once = async (step, act) => {
    if (running.stopping) throw new Stopped();
    if (state.done.includes(step)) return;
    if (!admin.cookie) await admin.logIn();
    await act();
    state.done.push(step);
    save(state);
  };
  const kubeconfigOf = `kubeconfig for ${standIn.url}`;
  if (!state.collectedTo) console.log('\nMaking the demo company ...');

  for (const username of [...people.map((person) => person.username), subscriber])
    await once(`user ${username}`, () =>
      command(environment, ['user', '--username', username, '--email', `${username}@demo.example`],
        { input: `${state.password}\n` }));
  await once(`cluster ${cluster}`, async () => {
    const { clusters } = await admin.get('/api/admin/clusters');
    const known = clusters.find((each) => each.name === cluster);
    const made = { name: cluster, api_url: 'https://harbour.demo.example/hopsworks-api/api', max_users: 50 };
    state.clusterId = (known ?? (await admin.post('/api/admin/clusters', made)).cluster).id;
  });
  await once(kubeconfigOf, async () => {
    await admin.post('/api/admin/clusters/update-kubeconfig',
      { clusterId: state.clusterId, kubeconfig: readFileSync(standIn.kubeconfig, 'utf8') });
    const tested = await admin.post('/api/admin/test-opencost', { clusterId: state.clusterId });
    if (!tested.connected) throw new Failure(`test-opencost: ${tested.error}`);
    console.log(`  cluster ${cluster}: ${tested.message}`);
    state.done = state.done.filter((step) => !step.startsWith('kubeconfig'));
  });
  const hopsworksAt = `hopsworks at ${hopsworks.url}`;
  await once(hopsworksAt, async () => {
    await fillHopsworks(hopsworks);
    const { answer } = await admin.send('PUT', '/api/admin/clusters', { id: state.clusterId,
      api_url: `${hopsworks.url}/hopsworks-api/api`, api_key: hopsworks.apiKey });
    if (!answer.ok) throw new Failure(`the cluster's Hopsworks: ${answer.status}`);
    state.done = state.done.filter((step) => !step.startsWith('hopsworks'));
  });
  for (const { email, projects } of people)
    for (const name of projects)
      await once(`project ${name}`, () =>
        command(environment, ['project', '--email', email, '--cluster', cluster, '--namespace', name]));
  await collectHistory(state, environment);
  for (const product of dues)
    await once(`price ${product}`, () => command(environment, ['price', '--product', product,
      '--unit-price', unitPrices[product], '--stripe-price', `price_${product}`]));
  const [ana, ben] = people.map(({ username }) => admin.as(username));
  await once('projects at the hub', async () => {
    await ana.post('/api/auth/login', ana.credentials);
    for (const action of ['create_project', 'create_project', 'create_task'])
      await ana.postToHub('/api/dashboard/perform-action', { action });
  });
  // Ana has told Ben of the hub; when he pays for the first time, she gets credits.
  await once('referral of ben', async () => {
    for (const person of [ana, ben]) await person.post('/api/auth/login', person.credentials);
    const { data } = await ana.get('/api/dashboard/referral-summary');
    await ben.postToHub('/api/dashboard/referral', { ref: data.referralCode });
  });
  await once('credits of ben', async () => {
    await ben.post('/api/auth/login', ben.credentials);
    const { url: page } = await ben.postToHub('/api/billing/credits', { pack: 100 });
    await pay(page, stripe);
    await seen('credits of ben', async () =>
      (await ben.get('/api/dashboard/billing-summary')).data.creditsRemaining > 0);
  });
  await once('developer project', () => makeProject(ana, state.password));
  // Ana and Ben pay by card; Chloe has yet to.
  for (const { username, email } of people.slice(0, 2))
    await once(`card of ${username}`, () => payByCard(admin.as(username), stripe, email));
  await once('subscribers', () =>
    command(environment, ['import', '--surface', 'assinante', '-'], { input: demoSubscribers() }));
  await once('reports to Stripe', async () => {
    console.log('  reporting what was used to Stripe ...');
    await command(environment, ['sync-stripe']);
  });
}

/// Ana's project for developers, with people who use it; she and Ben have logged in there.
async function makeProject(ana, password) {
  const email = 'ana@demo.example';
  const { accessToken } = await ana.post('/auth/login', { email, password });
  const as = { authorization: `Bearer ${accessToken}` };
  const post = async (path, body) => {
    const { answer, json } = await ana.send('POST', path, body, as);
    if (answer.ok) return json.data;
    throw new Failure(`POST ${path}: ${answer.status} ${JSON.stringify(json)}`);
  };
  const { id } = await post('/dashboard/projects', {
    name: 'Harbour Shop', description: 'What sailors buy', allowedProviders: ['email', 'google'],
    allowedOrigins: ['http://localhost:3000', 'http://localhost:5173', '*.harbour.example'],
  });
  const users = `/dashboard/projects/${id}/users`;
  for (const each of [email, 'ben@demo.example']) await post(users, { email: each });
  for (let i = 1; i <= 60; ++i) await post(users, { email: `sailor${i}@harbour.example` });
  const blocked = await post(users, { email: 'pirate@harbour.example' });
  await ana.send('PATCH', `${users}/${blocked.id}`, { blocked: true }, as);
  for (const each of [email, 'ben@demo.example', email])
    await ana.post('/auth/login', { email: each, password, projectId: id });
  await post(`/dashboard/projects/${id}/api-keys`, { name: 'Till', scopes: ['orders:read'] });
}

/// Everybody has an account there, with the projects that usage is reported for; once is enough.
async function fillHopsworks(hopsworks) {
  const post = (path, body) =>
    fetch(hopsworks.control + path, { method: 'POST', body: JSON.stringify(body) });
  for (const { username, email, projects } of people) {
    const firstname = username[0].toUpperCase() + username.slice(1);
    await post('/users', { email, username, firstname, lastname: 'Demo', maxNumProjects: 5 });
    for (const name of projects) await post('/projects', { name, owner: email });
  }
}

/// What a customer does on Stripe's page, done for them; the webhook then makes the subscription.
async function payByCard(person, stripe, email) {
  await person.post('/api/auth/login', person.credentials);
  const { url } = await person.post('/api/billing/payment-method', {});
  await pay(url, stripe);
  await seen(`payment method of ${email}`, async () =>
    (await person.get('/api/billing')).hasPaymentMethod);
}

async function pay(page, stripe) {
  const answer = await fetch(`${stripe.control}/actions`,
    { method: 'POST', body: JSON.stringify({ complete: page.split('/').pop() }) });
  if (!answer.ok) throw new Failure(`checkout ${page}: ${await answer.text()}`);
}

/// Waits until what a webhook brings is there.
async function seen(what, question) {
  const until = Date.now() + readyWithin;
  while (Date.now() < until) {
    if (running.stopping) throw new Stopped();
    if (await question()) return;
    await sleep(200);
  }
  throw new Failure(`no ${what} to be seen`);
}

/// By the real collector, from the first day on, or from where an earlier run stopped; what was
/// missed in a day or two the service itself collects when it starts.
async function collectHistory(state, environment) {
  const now = Math.floor(Date.now() / hour) * hour;
  const today = Math.floor(now / day) * day;
  const from = state.collectedTo ?? today - historyDays * day;
  if (now - from < 2 * day) return;
  if (running.stopping) throw new Stopped();
  console.log(`  collecting the usage of ${Math.floor((now - from) / day)} days from OpenCost ...`);
  await command(environment, ['collect', '--from', iso(from), '--to', iso(now)], { show: true });
  await command(environment, ['collect'], { show: true }); // the present hour
  state.collectedTo = now;
  save(state);
}

// -- what to try ----------------------------------------------------------------------------------

function explain(url, state, stripe, resend) {
  const home = relative(process.cwd(), dataDir).startsWith('..') ? dataDir : relative(process.cwd(), dataDir) || '.';
  const jar = join(home, 'cookies.txt');
  const where = /^[\w./-]+$/.test(jar) ? jar : `'${jar}'`;
  const line = (name, what) => `  ${name.padEnd(8)}${state.password}   ${what}`;
  console.log([
    '',
    'The demo company: user name and password',
    line('admin', 'administrator'),
    ...people.map(({ username, projects }) => line(username, projects.join(', '))),
    '',
    'Try it:',
    `  curl -c ${where} -H 'Content-Type: application/json' \\`,
    `    -d '{"username":"ana","password":"${state.password}"}' ${url}/api/auth/login`,
    `  curl -b ${where} ${url}/api/usage`,
    `  curl -b ${where} '${url}/api/billing?format=csv'`,
    `  curl -b ${where} ${url}/api/dashboard/referral-summary`,
    `  curl -b ${where} ${url}/api/user/hopsworks-info`,
    '',
    'As a developer with a project, and as a subscriber:',
    `  curl -H 'Content-Type: application/json' -d '{"username":"ana","password":"${state.password}"}' ${url}/auth/login`,
    `    # TOKEN is the accessToken it answers`,
    `  curl -H "Authorization: Bearer $TOKEN" ${url}/dashboard/projects`,
    `  TOKEN=$(BINNACLE_DATA_DIR='${dataDir}' build/release/binnacle token --email ${subscriber}@demo.example)`,
    `  curl -H "Authorization: Bearer $TOKEN" ${url}/api/assinante/subscription`,
    '',
    'Money, with a stand-in for Stripe (binnacle here is build/release/binnacle):',
    `  curl -X POST -b ${where} -H 'Content-Type: application/json' -d '{}' ${url}/api/billing/payment-method`,
    `    # as chloe: open the url it answers and pay; then`,
    `  BINNACLE_DATA_DIR='${dataDir}' STRIPE_SECRET_KEY=${stripe.secretKey} \\`,
    `    BINNACLE_STRIPE_API_URL=${stripe.url} build/release/binnacle sync-stripe`,
    '',
    `Mails go to a stand-in for Resend: curl ${resend.control}/mails`,
    '',
    `Everything is kept in ${home}; delete it to begin anew. Stop with Ctrl-C.`,
  ].join('\n'));
}

// -- the whole story ------------------------------------------------------------------------------

function environmentFor(state, stripe, r2, resend, hubspot) {
  const environment = { ...process.env, BINNACLE_DATA_DIR: dataDir };
  Object.assign(environment, {
    CRON_SECRET: state.cronSecret,
    STRIPE_SECRET_KEY: stripe.secretKey,
    STRIPE_WEBHOOK_SECRET: state.webhookSecret,
    BINNACLE_STRIPE_API_URL: stripe.url,
    RESEND_API_KEY: resend.apiKey,
    BINNACLE_MAIL_RESEND_URL: resend.url,
    HUBSPOT_API_KEY: hubspot.key,
    BINNACLE_HUBSPOT_API_URL: hubspot.url,
    AUTH0_ISSUER_BASE_URL: 'https://demo.eu.auth0.com',
    AUTH0_WEBHOOK_SECRET: state.auth0Secret,
    CREDITS_PRICING_TABLE: tableOf(packs, (pack) => `price_credits_${pack}`),
    PRICING_TABLE: tableOf(plans, (plan) => `price_${plan}_monthly`),
    PRICING_TABLE_ANNUAL: tableOf(plans, (plan) => `price_${plan}_annual`),
    ENABLE_REFERRAL_REWARDS: 'on',
    ...(r2 && {
      R2_ENDPOINT: r2.url, R2_ACCESS_KEY_ID: r2.accessKeyId, R2_SECRET_ACCESS_KEY: r2.secretAccessKey,
    }),
  });
  environment.BINNACLE_LOG_ACCESS_FILE ??= join(dataDir, 'access.log');
  // Demo data belongs into no database but the sandbox's own.
  for (const name of ['DATABASE_URL', 'BINNACLE_DATABASE_URL'])
    for (const each of [name, `${name}_FILE`])
      if (each in environment) {
        console.log(`The sandbox has its own database and ignores ${each}.`);
        delete environment[each];
      }
  return environment;
}

const tableOf = (keys, price) => JSON.stringify(Object.fromEntries(keys.map((key) => [key, price(key)])));

/// Where its webhooks go from now on.
async function tellStripe(stripe, url, secret) {
  const answer = await fetch(`${stripe.control}/webhooks`, {
    method: 'POST', body: JSON.stringify({ url: `${url}/api/webhooks/stripe`, secret }),
  });
  if (!answer.ok) throw new Failure(`webhooks: ${await answer.text()}`);
}

async function main(args) {
  if (args.includes('--help') || args.includes('-h'))
    return (await start(binary, ['serve', '--help'], { stdio: 'inherit' }).ended).code;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => { if (!running.stopping) stopEverything(); });
  let failed = false;
  try {
    const state = openState();
    const standIn = await startStandIn('opencost', state.ports, ['--namespaces', namespaces.join(',')]);
    const stripe = await startStandIn('stripe', state.stripePorts);
    const hopsworks = await startStandIn('hopsworks', state.hopsworksPorts);
    const hubspot = await startStandIn('hubspot', state.hubspotPorts);
    const resend = await startStandIn('resend', state.resendPorts);
    // It needs a package from npm; without it objects are kept in a directory.
    const r2 = existsSync(join(root, 'tests/upstreams/node_modules/aws4'))
      ? await startStandIn('r2', state.r2Ports) : null;
    if (running.stopping) throw new Stopped();
    const environment = environmentFor(state, stripe, r2, resend, hubspot);
    const url = await startService(environment, args);
    await tellStripe(stripe, url, state.webhookSecret);
    await makeCompany({ state, url, environment, standIn, stripe, hopsworks, r2, resend, hubspot });
    explain(url, state, stripe, resend);
    await running.service.ended;
  } catch (error) {
    if (!(error instanceof Stopped) && !running.stopping) {
      console.error(`sandbox: ${error instanceof Failure ? error.message : error.stack}`);
      failed = true;
    }
  }
  const ended = await stopEverything();
  if (ended?.error) console.error(`sandbox: ${ended.error.message}`);
  return ended?.code || (failed ? 1 : 0);
}

process.exitCode = await main(process.argv.slice(2));

// Stripe's webhooks: how fast they are taken in durably, against pgbench inserting the same rows.
import { createHmac } from 'node:crypto';
import http from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { percentile } from './measure.mjs';
import { programs } from './postgres.mjs';
import { cpuSeconds, run, sleep } from './processes.mjs';

const secret = 'whsec_benchmark';
const padding = 'x'.repeat(900);
let made = 0;

/** An event that has no effect, so that taking it in is what is measured; about 1.2 KB. */
function event() {
  made += 1;
  return JSON.stringify({
    id: `evt_bench_${made}`,
    object: 'event',
    type: 'customer.updated',
    created: Math.floor(Date.now() / 1000),
    livemode: false,
    api_version: '2025-06-30.basil',
    data: { object: { id: `cus_bench_${made}`, object: 'customer', description: padding } },
  });
}

function sender(service, connections) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const send = () =>
    new Promise((done, failed) => {
      const body = event();
      const time = Math.floor(Date.now() / 1000);
      const signature = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex');
      const began = process.hrtime.bigint();
      const request = http.request(`${service.url}/api/webhooks/stripe`, {
        agent,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'stripe-signature': `t=${time},v1=${signature}`,
        },
      });
      request.on('error', failed);
      request.on('response', answer => {
        answer.resume();
        answer.on('end', () =>
          answer.statusCode === 200
            ? done(Number(process.hrtime.bigint() - began) / 1e6)
            : failed(new Error(`a webhook was answered ${answer.statusCode}`)),
        );
      });
      request.end(body);
    });
  return { send, close: () => agent.destroy() };
}

/** Milliseconds of every answer at a steady rate, whatever the answers before took. */
export async function steady(service, { rate, seconds }) {
  const { send, close } = sender(service, 256);
  for (let i = 0; i < rate; i += 1) await send(); // warm
  const answers = [];
  const began = Date.now();
  for (let i = 0; i < rate * seconds; i += 1) {
    const wait = began + (i * 1000) / rate - Date.now();
    if (wait > 0) await sleep(wait);
    answers.push(send());
  }
  const times = await Promise.all(answers);
  close();
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** Events per second with so many senders that wait for their answers. */
export async function peak(service, { connections, seconds }) {
  const { send, close } = sender(service, connections);
  const cpu = cpuSeconds([service.pid], [service.databasePid]);
  const times = [];
  const end = Date.now() + seconds * 1000;
  const one = async () => {
    while (Date.now() < end) times.push(await send());
  };
  await Promise.all(Array.from({ length: connections }, one));
  close();
  return {
    rate: times.length / seconds,
    p50: percentile(times, 0.5) * 1000, // microseconds, as wrk's
    p99: percentile(times, 0.99) * 1000,
    serverCpu: ((cpuSeconds([service.pid], [service.databasePid]) - cpu) * 1e6) / times.length,
    databaseCpu: null,
  };
}

/** pgbench inserting rows like these into a table like theirs, a commit each. */
export async function bareInserts(service, { connections, seconds }, workDir) {
  const { postgres } = service;
  await postgres.sql('DROP TABLE IF EXISTS bench_events; CREATE TABLE bench_events (LIKE stripe_events INCLUDING ALL)');
  const script = join(workDir, 'insert.sql');
  writeFileSync(
    script,
    `\\set n random(1, 1000000000000)
INSERT INTO bench_events (id, type, object_key, livemode, api_version, created_at, payload, source,
  next_attempt_at, received_at)
VALUES ('evt_' || :n, 'customer.updated', 'cus_' || :n, false, '2025-06-30.basil', now(),
  repeat('x', ${event().length}), 'webhook', now(), now()) ON CONFLICT (id) DO NOTHING;\n`,
  );
  const output = await run(
    join(programs(), 'pgbench'),
    ['--file', script, '--protocol=prepared', '--no-vacuum', '--client', String(connections),
      '--jobs', '2', '--time', String(seconds)],
    { env: postgres.env, seconds: seconds + 60 },
  );
  return {
    rate: Number(/tps = ([\d.]+)/.exec(output)[1]),
    p50: null,
    p99: null,
    serverCpu: null,
    databaseCpu: null,
  };
}

export const webhookSettings = { STRIPE_SECRET_KEY: 'sk_test_benchmark', STRIPE_WEBHOOK_SECRET: secret };

/// A storm of Stripe's events: shuffled, doubled, to two processes at once, which are killed while
/// they work. Whatever was acknowledged is applied exactly once, and the books equal Stripe's.
///
/// BINNACLE_STORM_EVENTS (10,000) says how many events, BINNACLE_STORM_SEED which storm.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, test } from 'node:test';
import { eventually, installation, sleep } from './harness.mjs';
import { signPayload } from '../upstreams/stripe.mjs';
import { started } from '../upstreams/lib/stripe/testing.mjs';

const WANTED = Number(process.env.BINNACLE_STORM_EVENTS ?? 10_000);
const SEED = Number(process.env.BINNACLE_STORM_SEED ?? 1);
const SECRET = 'whsec_storm';
const PATHS = ['/api/webhooks/stripe', '/api/billing/stripe-webhook'];
const KILLS = 6;
const PLANS = ['pro', 'premium', 'enterprise'];

/// mulberry32: the same storm for the same seed.
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const random = randomOf(SEED);
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
function shuffle(list) {
  for (let i = list.length - 1; i > 0; i -= 1) {
    const j = below(i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

/// Lives of customers, as Stripe sees them, until there are enough events.
async function makeHistory(stripe) {
  const users = [];
  for (let i = 0; i < Math.max(10, WANTED / 50); i += 1) {
    const { body } = await stripe.post('/v1/customers', { email: `user${i}@example.com` });
    users.push({ id: `usr_storm_${i}`, customer: body.id, credits: 0, cards: [], subscriptions: [] });
  }
  const first = stripe.account.events.all.length;
  const steps = {
    async card(user) {
      user.cards.push((await stripe.act({ addCard: { customer: user.customer } })).id);
    },
    async loseCard(user) {
      if (user.cards.length > 0) await stripe.act({ detach: user.cards.pop() });
    },
    async buy(user) {
      const pack = pick([100, 500, 1500]);
      const { body } = await stripe.post('/v1/checkout/sessions', {
        mode: 'payment', success_url: 'https://x.example/', cancel_url: 'https://x.example/',
        line_items: [{ price: `price_credits_${pack}`, quantity: 1 }], client_reference_id: user.id,
        metadata: { purpose: 'credits', pack, userId: user.id },
      });
      await stripe.act({ complete: body.id });
      user.credits += pack * 10;
    },
    async subscribe(user, kind = pick(['plan', 'usage'])) {
      await steps.card(user); // whose default one may be gone
      const price = `price_${pick(PLANS)}_monthly`;
      const { status, body } = await stripe.post('/v1/subscriptions',
        { customer: user.customer, items: [{ price }], metadata: { kind } });
      assert.equal(status, 200, JSON.stringify(body));
      user.subscriptions.push(body.id);
    },
    async cancel(user) {
      const id = user.subscriptions.pop();
      if (id) await stripe.act({ cancel: id });
    },
  };
  const weighted = ['card', 'loseCard', 'buy', 'buy', 'buy', 'subscribe', 'cancel'];
  while (stripe.account.events.all.length - first < WANTED) await steps[pick(weighted)](pick(users));
  return { users, events: stripe.account.events.all.slice(first) };
}

/// What the rules make of Stripe's final state.
function expectedOf(stripe, user) {
  const of = stripe.account.subscriptions.all.filter((s) => s.customer === user.customer);
  const alive = (s) => !['canceled', 'incomplete_expired'].includes(s.status);
  const usage = of.filter((s) => s.metadata.kind === 'usage');
  const cards = stripe.account.paymentMethods.all.filter((m) => m.customer === user.customer).length;
  const had = stripe.account.events.all.some((e) => e.type === 'payment_method.detached' &&
    e.data.previous_attributes.customer === user.customer);
  const suspended = (usage.length > 0 && !usage.some(alive)) || (cards === 0 && had);
  return {
    status: suspended ? 'suspended' : 'active',
    card: cards > 0,
    credits: user.credits,
    subscriptions: of.map((s) => `${s.id} ${s.status}`).sort(),
  };
}

test(`a storm of ${WANTED} events (seed ${SEED})`, { timeout: 280_000 }, async (t) => {
  const stripe = await started({ after });
  const home = installation(t);
  await home.serve(); // keeps PostgreSQL; without an API key it leaves the events to the others
  const node = () => home.serve({
    DATABASE_URL: home.url, STRIPE_SECRET_KEY: stripe.secretKey, STRIPE_WEBHOOK_SECRET: SECRET,
    BINNACLE_STRIPE_API_URL: stripe.url, BINNACLE_STRIPE_RATE: '10000',
    BINNACLE_STRIPE_EVENT_LEASE: '2s', BINNACLE_LOG_LEVEL: 'error',
    PRICING_TABLE: JSON.stringify(Object.fromEntries(PLANS.map((p) => [p, `price_${p}_monthly`]))),
  });
  const nodes = [await node(), await node()];

  const { users, events } = await makeHistory(stripe);
  const list = (make) => users.map(make).join(',');
  home.sql(`INSERT INTO users (id, email, billing_mode, created_at, updated_at)
    VALUES ${list(({ id }) => `('${id}', '${id}@example.com', 'postpaid', now(), now())`)}`);
  home.sql(`INSERT INTO stripe_customers (user_id, customer_id, created_at)
    VALUES ${list(({ id, customer }) => `('${id}', '${customer}', now())`)}`);

  const deliveries = shuffle([...events,
    ...Array.from({ length: Math.round(events.length * 0.3) }, () => pick(events))]);
  const killAt = new Set(Array.from({ length: KILLS }, () => below(deliveries.length * 0.9)));
  const acknowledged = new Set();
  const lost = { attempts: 0 };
  let restarts = Promise.resolve();
  const kill = (which) => {
    const victim = nodes[which];
    if (!victim) return; // has not come back yet
    nodes[which] = undefined;
    victim.child.kill('SIGKILL');
    restarts = restarts.then(async () => {
      await victim.ended;
      nodes[which] = await node();
    });
  };

  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  let next = 0;
  let failed = false;
  async function sender() {
    while (next < deliveries.length && !failed) {
      const mine = next;
      next += 1;
      if (killAt.has(mine)) kill(mine % 2);
      const event = deliveries[mine];
      const body = JSON.stringify(event, null, 2);
      for (let first = below(2); ; first += 1) { // as Stripe does: again, until it is taken
        const to = nodes[first % 2];
        try {
          if (!to) throw new Error('down');
          const answer = await to.call('POST', PATHS[first % 2],
            { body, agent, headers: { 'stripe-signature': signPayload(body, SECRET) } });
          assert.ok(answer.status === 200 || answer.status >= 500, `${answer.status} ${answer.text}`);
          if (answer.status === 200) break;
        } catch (error) {
          failed = error instanceof assert.AssertionError;
          if (failed) throw error;
        }
        lost.attempts += 1;
        await sleep(20);
      }
      acknowledged.add(event.id);
    }
  }
  await Promise.all(Array.from({ length: 24 }, sender));
  await restarts;
  agent.destroy();
  assert.equal(acknowledged.size, events.length);
  assert.ok(lost.attempts > 0, 'nothing was killed while it worked');

  const open = () => home.sql("SELECT count(*) FROM stripe_events WHERE state <> 'applied'");
  await eventually('all is applied', () => open() === '0', { within: 200_000, every: 200 });
  assert.equal(home.sql('SELECT count(*) FROM stripe_events'), String(events.length));
  const purchases = stripe.account.sessions.all.length;
  assert.equal(home.sql('SELECT count(*) FROM credit_entries'), String(purchases));

  const rows = new Map(home.sql(`SELECT u.id, u.status, c.has_payment_method,
      (SELECT coalesce(sum(tenths), 0) FROM credit_entries e WHERE e.user_id = u.id),
      (SELECT string_agg(s.id || ' ' || s.status, ',' ORDER BY s.id COLLATE "C")
       FROM subscriptions s WHERE s.user_id = u.id)
    FROM users u JOIN stripe_customers c ON c.user_id = u.id`).split('\n').map((line) => {
    const [id, status, card, credits, subscriptions] = line.split('|');
    return [id, { status, card: card === 't', credits: Number(credits),
      subscriptions: subscriptions ? subscriptions.split(',') : [] }];
  }));
  for (const user of users) assert.deepEqual(rows.get(user.id), expectedOf(stripe, user), user.id);
  t.diagnostic(`${events.length} events, ${deliveries.length} deliveries, ${lost.attempts} lost attempts, ` +
    `${home.sql('SELECT sum(attempts) FROM stripe_events')} attempts to apply`);
});

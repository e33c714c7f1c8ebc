import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { receiver, started } from './lib/stripe/testing.mjs';
import { signPayload, verify } from './stripe.mjs';

const SECRET = 'whsec_one';

/// A stand-in and an endpoint; `send(n)` makes n events, of types made.1, made.2, …
const connected = async (test, { answers, options, ...endpoint } = {}) => {
  const hook = await receiver(test, answers);
  const stripe = await started(test);
  await stripe.command('POST', '/webhooks', { url: hook.url, secret: SECRET, ...endpoint });
  const configured = await stripe.command('POST', '/webhooks/options', {
    retryMs: [5, 5, 5],
    ...options,
  });
  assert.equal(configured.status, 200);
  const send = (count) =>
    stripe.command(
      'POST',
      '/webhooks/emit',
      Array.from({ length: count }, (_, at) => ({
        type: `made.${at + 1}`,
        object: { id: `o_${at + 1}` },
      })),
    );
  const summary = async () => (await stripe.command('GET', '/webhooks/summary')).body;
  // The receiver has answered before the sender has read that.
  const settled = async (wanted) => {
    let now;
    do now = await summary();
    while (!Object.entries(wanted).every(([key, value]) => now[key] === value));
  };
  const undelivered = async () =>
    (await stripe.get('/v1/events?delivery_success=false')).body.data.map(({ type }) => type);
  return { hook, stripe, send, summary, settled, undelivered };
};

describe('a signature', () => {
  const body = '{"id":"evt_1"}';

  it('is the HMAC of time and body, with the whole secret as the key', () => {
    // printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
    assert.equal(
      signPayload(body, 'whsec_test', 1_700_000_000),
      't=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925',
    );
  });

  it('fits its secret, its bytes and its time only', () => {
    const header = signPayload(body, ['old', 'new'], 1000);
    const at = (now) => ({ now });

    assert.equal(verify(body, header, 'old', at(1000)), true);
    assert.equal(verify(body, header, 'new', at(1300)), true);
    assert.equal(verify(body, header, 'new', at(1301)), false);
    assert.equal(verify(body, header, 'other', at(1000)), false);
    assert.equal(verify(`${body} `, header, 'new', at(1000)), false);
    assert.equal(verify(body, header.replaceAll('v1=', 'v0='), 'new', at(1000)), false);
    assert.equal(verify(body, 'nonsense', 'new', at(1000)), false);
  });
});

// What never comes is a failure after this time.
describe('a webhook', { timeout: 30_000 }, () => {
  it('brings every change, signed', async (test) => {
    const { hook, stripe } = await connected(test);

    const { body: customer } = await stripe.post('/v1/customers', { name: 'Ana' }, 'key');

    const [{ event, body, signature }] = await hook.received(1);
    assert.equal(verify(body, signature, SECRET), true);
    assert.deepEqual(
      [event.type, event.data.object, event.pending_webhooks],
      ['customer.created', customer, 1],
    );
    assert.equal(event.request.idempotency_key, 'key');
  });

  it("goes to every endpoint that wants its type, with that endpoint's secrets", async (test) => {
    const { hook, stripe, send } = await connected(test);
    const other = await receiver(test);
    await stripe.command('POST', '/webhooks', {
      url: other.url,
      secrets: ['whsec_old', 'whsec_new'],
      events: ['made.2', 'customer.*'],
    });

    await send(2);

    await hook.received(2);
    const [{ event, body, signature }] = await other.received(1);
    assert.equal(event.type, 'made.2');
    assert.equal(signature.match(/v1=/g).length, 2);
    assert.ok(verify(body, signature, 'whsec_old') && verify(body, signature, 'whsec_new'));
    assert.equal(verify(body, signature, SECRET), false);
  });

  it('is tried again until it is taken', async (test) => {
    const { hook, stripe, send, settled, undelivered } = await connected(test, {
      answers: [500, 302, 400],
    });

    await send(1);
    const [first, ...again] = await hook.received(4);

    assert.ok(again.every(({ body }) => body === first.body));
    await settled({ succeeded: 1, failed: 3, open: 0 });
    assert.deepEqual(await undelivered(), []);
    const { body: log } = await stripe.command('GET', '/webhooks/deliveries');
    assert.deepEqual(
      log.map(({ attempt, status }) => [attempt, status]),
      [
        [1, 500],
        [2, 302],
        [3, 400],
        [4, 200],
      ],
    );
    assert.equal((await stripe.get(`/v1/events/${first.event.id}`)).body.pending_webhooks, 0);
  });

  it('is given up after the last try, and can be sent again by hand', async (test) => {
    const { hook, stripe, send, settled, undelivered } = await connected(test, {
      answers: [500, 500],
      options: { retryMs: [1] },
    });

    const {
      body: { events },
    } = await send(1);
    await hook.received(2);
    await settled({ givenUp: 1 });
    assert.deepEqual(await undelivered(), ['made.1']);

    await stripe.command('POST', '/webhooks/redeliver', { events });
    await hook.received(3);
    await settled({ succeeded: 1, givenUp: 0 });
    assert.deepEqual(await undelivered(), []);
  });

  it('waits for an answer only so long', async (test) => {
    const { hook, stripe, send, settled } = await connected(test, {
      answers: ['none'],
      options: { timeoutMs: 20 },
    });

    await send(1);

    await hook.received(2);
    await settled({ succeeded: 1 });
    const { body: log } = await stripe.command('GET', '/webhooks/deliveries');
    assert.deepEqual(
      log.map(({ status, error }) => [status, error]),
      [
        [null, 'timed out'],
        [200, null],
      ],
    );
  });

  it('may come twice', async (test) => {
    const { hook, send } = await connected(test, { options: { duplicate: 1 } });

    await send(1);

    const [first, second] = await hook.received(2);
    assert.equal(first.body, second.body);
  });

  it('may come in any order, but comes', async (test) => {
    const { hook, send } = await connected(test, { options: { shuffle: true } });

    await send(40);

    await hook.received(40);
    const order = hook.types().map((type) => Number(type.slice(5)));
    assert.notDeepEqual(
      order,
      [...order].sort((a, b) => a - b),
    );
    assert.equal(new Set(order).size, 40);
  });

  it('may be late', async (test) => {
    const { hook, send } = await connected(test, { options: { delayMs: 80 } });
    const start = performance.now();

    await send(1);

    await hook.received(1);
    assert.ok(performance.now() - start >= 75);
  });

  it('may get lost, which the list of events tells', async (test) => {
    const { hook, stripe, send, settled, undelivered } = await connected(test, {
      options: { drop: ['made.1', 'made.3'] },
    });

    const {
      body: { events },
    } = await send(4);
    await hook.received(2);
    await settled({ succeeded: 2, dropped: 2 });

    assert.deepEqual(await undelivered(), ['made.3', 'made.1']);
    assert.equal(
      (await stripe.get(`/v1/events?delivery_success=false&ending_before=${events[0]}`)).body.data
        .length,
      1,
    );
    assert.equal((await stripe.get(`/v1/events/${events[0]}`)).body.pending_webhooks, 1);
  });

  it('may be signed at a wrong time', async (test) => {
    const { hook, send } = await connected(test, { options: { skewSeconds: -600 } });

    await send(1);

    const [{ body, signature }] = await hook.received(1);
    assert.equal(verify(body, signature, SECRET), false);
    assert.equal(verify(body, signature, SECRET, { tolerance: 900 }), true);
  });

  it('can be made up from an object that is there, or the very same again', async (test) => {
    const { hook, stripe } = await connected(test, { events: ['customer.subscription.*'] });
    const {
      body: { id },
    } = await stripe.post('/v1/customers', { name: 'Ana' });
    const made = {
      type: 'customer.subscription.updated',
      id,
      object: { status: 'odd' },
      created: 5,
      event: 'evt_same',
    };

    await stripe.command('POST', '/webhooks/emit', [made, made]);

    const [first, second] = await hook.received(2);
    assert.deepEqual(
      [first.event.id, second.event.id, first.event.created],
      ['evt_same', 'evt_same', 5],
    );
    assert.deepEqual(
      [first.event.data.object.name, first.event.data.object.status],
      ['Ana', 'odd'],
    );
    assert.equal(
      (await stripe.command('POST', '/webhooks/emit', { type: 'x', id: 'cus_none' })).status,
      400,
    );
  });

  it('storm of two thousand arrives whole, to an endpoint that stumbles', async (test) => {
    const { hook, send, settled } = await connected(test, {
      answers: Array(300).fill(503),
      options: { duplicate: 0.1, shuffle: true },
    });

    await send(2000);

    await settled({ succeeded: 2000, failed: 300, open: 0 });
    assert.equal(new Set(hook.types()).size, 2000);
  });
});

describe('the control port', () => {
  it('refuses endpoints and options that make no sense', async (test) => {
    const stripe = await started(test);
    const refused = async (path, body) =>
      assert.equal((await stripe.command('POST', path, body)).status, 400, JSON.stringify(body));

    for (const endpoint of [
      {},
      { url: 'nowhere', secret: 's' },
      { url: 'http://a/b' },
      { url: 'http://a/b', secrets: [] },
      { url: 'http://a/b', secret: 's', events: [] },
    ])
      await refused('/webhooks', endpoint);
    for (const options of [
      { duplicate: 2 },
      { shuffle: 1 },
      { drop: [1] },
      { retryMs: 5 },
      { colour: 'red' },
      { concurrency: 0 },
    ])
      await refused('/webhooks/options', options);
    await refused('/options', { rateLimit: -1 });
    await refused('/actions', { dance: 'cus_1' });
    await refused('/actions', { renew: 'sub_none' });
    await refused('/catalogue', {
      prices: [{ id: 'price_x', product: 'prod_none', unit_amount: 1 }],
    });
  });

  it('shows the whole state, and takes more to sell', async (test) => {
    const stripe = await started(test);
    await stripe.post('/v1/customers', { name: 'Ana' });

    await stripe.command('POST', '/catalogue', {
      products: [{ id: 'prod_x', name: 'X' }],
      prices: [{ id: 'price_x', product: 'prod_x', unit_amount: 7, currency: 'eur' }],
      meters: [{ id: 'mtr_x', event_name: 'x' }],
    });

    assert.equal((await stripe.get('/v1/prices/price_x?expand[]=product')).body.product.name, 'X');
    assert.equal((await stripe.command('GET', '/state')).body.customers[0].name, 'Ana');
    assert.equal((await stripe.command('GET', '/state/events')).body[0].type, 'customer.created');
    assert.equal((await stripe.command('GET', '/state/constructor')).status, 400);
    assert.equal((await stripe.command('GET', '/meters/x/totals')).body.events, 0);
  });
});

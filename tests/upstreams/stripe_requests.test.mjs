import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { started } from './lib/stripe/testing.mjs';
import { command, temporaryDirectory } from './lib/testing.mjs';

const PROGRAM = fileURLToPath(new URL('./stripe.mjs', import.meta.url));
const FORM = 'application/x-www-form-urlencoded';

const errorOf = ({ status, body }) => [
  status,
  body.error.code ?? body.error.type,
  body.error.param,
];

describe('a request', () => {
  it('needs the key, as bearer or as user name', async (test) => {
    const stripe = await started(test);
    const status = async (authorization) =>
      (await stripe.get('/v1/customers', { authorization })).status;

    assert.equal(await status(`Bearer ${stripe.secretKey}`), 200);
    assert.equal(await status(`Basic ${btoa(`${stripe.secretKey}:`)}`), 200);
    assert.equal(await status('Bearer sk_test_wrong'), 401);
    assert.equal(await status(''), 401);
    const refused = await stripe.get('/v1/customers', {
      authorization: 'Bearer sk_test_abcdefghijkl',
    });
    assert.match(refused.body.error.message, /^Invalid API Key provided: sk_test_\*+ijkl$/);
    assert.match(refused.headers.get('request-id'), /^req_/);
  });

  it('may name no other version of the API', async (test) => {
    const stripe = await started(test);

    assert.equal(
      (await stripe.get('/v1/customers', { 'stripe-version': '2025-06-30.basil' })).status,
      200,
    );
    assert.equal(
      (await stripe.get('/v1/customers', { 'stripe-version': '2024-06-20' })).status,
      400,
    );
  });

  it('is a form and nothing else', async (test) => {
    const stripe = await started(test);
    const send = (body, type = FORM, path = '/v1/customers') =>
      stripe.call('POST', path, {
        body,
        headers: { 'content-type': type, 'idempotency-key': `key ${body} ${type}` },
      });

    assert.equal((await send('{"name":"Ana"}', 'application/json')).status, 400);
    assert.equal((await send('name=Ana', 'text/plain')).status, 400);
    assert.equal(
      (await send('name=Ana+B&metadata[a%5Db]=1', `${FORM}; charset=utf-8`)).status,
      400,
    );
    for (const body of [
      'name',
      'name=%zz',
      'name=%ff',
      'name=a&name=b',
      'metadata[a=1',
      'metadata]a[=1',
      'metadata=x',
      'metadata[a]=1&metadata[a][b]=2',
      'name[a]=1',
      '{"name":"Ana"}',
    ]) {
      assert.equal((await send(body)).status, 400, body);
    }
    assert.equal((await send('name=Ana+B%C3%A9&metadata[a%20b]=1')).body.name, 'Ana Bé');
    assert.equal((await send('name=Ana', FORM, '/v1/customers?name=Ana')).status, 400);
  });

  it('is refused for parameters that are unknown, missing or bad', async (test) => {
    const stripe = await started(test);
    const post = async (path, form) => errorOf(await stripe.post(path, form));
    const get = async (path) => errorOf(await stripe.get(path));

    assert.deepEqual(await post('/v1/customers', { emial: 'a@b.example' }), [
      400,
      'parameter_unknown',
      'emial',
    ]);
    assert.deepEqual(await post('/v1/customers', { invoice_settings: { method: 'x' } }), [
      400,
      'parameter_unknown',
      'invoice_settings[method]',
    ]);
    assert.deepEqual(await post('/v1/subscriptions', { customer: 'cus_1' }), [
      400,
      'parameter_missing',
      'items',
    ]);
    assert.deepEqual(
      await post('/v1/subscriptions', { customer: 'cus_1', items: [{ quantity: 1 }] }),
      [400, 'parameter_missing', 'items[0][price]'],
    );
    assert.deepEqual(await post('/v1/subscriptions', { customer: '', items: [{ price: 'p' }] }), [
      400,
      'parameter_invalid_empty',
      'customer',
    ]);
    assert.deepEqual(await post('/v1/customers', { email: 'nobody' }), [
      400,
      'email_invalid',
      'email',
    ]);
    assert.deepEqual(await get('/v1/customers?limit=ten'), [
      400,
      'parameter_invalid_integer',
      'limit',
    ]);
    assert.deepEqual(await get('/v1/customers?starting_before=x'), [
      400,
      'parameter_unknown',
      'starting_before',
    ]);
    assert.deepEqual(await get('/v1/customers/cus_none'), [404, 'resource_missing', 'id']);
    assert.equal((await stripe.get('/v1/usage_records')).status, 404);
    assert.equal((await stripe.call('PUT', '/v1/customers')).status, 404);
  });

  it('expands what can be expanded, and no property that basil has moved', async (test) => {
    const stripe = await started(test);
    const {
      body: { id: customer },
    } = await stripe.post('/v1/customers', { name: 'Ana' });
    await stripe.act({ invoice: { customer, amount: 100 } });

    const { body: list } = await stripe.get('/v1/invoices?expand[]=data.customer');
    assert.equal(list.data[0].customer.name, 'Ana');
    assert.equal(stripe.account.invoices.all[0].customer, customer);
    assert.deepEqual(errorOf(await stripe.get('/v1/invoices?expand[]=data.subscription')), [
      400,
      'invalid_request_error',
      'expand',
    ]);
  });

  it('is counted against a rate limit, if there is one', async (test) => {
    const stripe = await started(test, { settings: { rateLimit: 1 } });

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => stripe.get('/v1/customers')),
    );

    const limited = answers.filter(({ status }) => status === 429);
    assert.ok(limited.length > 0 && limited.length < 20);
    assert.equal(limited[0].body.error.code, 'rate_limit');
  });

  it('is remembered', async (test) => {
    const stripe = await started(test);
    const { headers } = await stripe.post('/v1/customers', { name: 'Ana' }, 'key-a');

    const {
      body: [entry],
    } = await stripe.command('GET', '/requests');

    assert.deepEqual(
      [entry.method, entry.url, entry.status, entry.body, entry.idempotencyKey, entry.authorized],
      ['POST', '/v1/customers', 200, 'name=Ana', 'key-a', true],
    );
    assert.equal(entry.requestId, headers.get('request-id'));
  });
});

describe('an idempotency key', () => {
  it('gives the first answer again, in any order of parameters', async (test) => {
    const stripe = await started(test);
    const first = await stripe.post('/v1/customers', 'name=Ana&email=a%40b.example', 'key');

    const again = await stripe.post('/v1/customers', 'email=a@b.example&name=Ana', 'key');

    assert.deepEqual(again.body, first.body);
    assert.equal(first.headers.get('idempotent-replayed'), null);
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal(again.headers.get('original-request'), first.headers.get('request-id'));
    assert.equal(stripe.account.customers.all.length, 1);
  });

  it('is needed, unless that is switched off', async (test) => {
    const stripe = await started(test);
    const create = () => stripe.call('POST', '/v1/customers', { body: 'name=Ana' });

    assert.equal((await create()).status, 400);
    await stripe.command('POST', '/options', { requireIdempotencyKey: false });
    assert.equal((await create()).status, 200);
  });

  it('belongs to one endpoint and its parameters', async (test) => {
    const stripe = await started(test);
    await stripe.post('/v1/customers', { name: 'Ana' }, 'key');

    for (const [path, form] of [
      ['/v1/customers', { name: 'Ben' }],
      ['/v1/refunds', { name: 'Ana' }],
    ]) {
      const { status, body } = await stripe.post(path, form, 'key');
      assert.deepEqual([status, body.error.type], [400, 'idempotency_error']);
    }
    assert.equal((await stripe.post('/v1/customers', {}, 'k'.repeat(256))).status, 400);
  });

  it('is in use while its request is worked on', async (test) => {
    const stripe = await started(test);
    await stripe.command('POST', '/faults', { kind: 'hang', match: 'POST /v1/customers' });
    const hanging = stripe.post('/v1/customers', { name: 'Ana' }, 'key').catch(() => 'closed');
    while ((await stripe.command('GET', '/requests')).body.length === 0);

    const { status, body } = await stripe.post('/v1/customers', { name: 'Ana' }, 'key');
    assert.deepEqual([status, body.error.code], [409, 'idempotency_key_in_use']);

    await stripe.command('DELETE', '/faults');
    assert.equal(await hanging, 'closed');
    assert.equal((await stripe.post('/v1/customers', { name: 'Ana' }, 'key')).status, 200);
    assert.equal(stripe.account.customers.all.length, 1);
  });

  it('keeps refusals of the work, but not those of the parameters', async (test) => {
    const stripe = await started(test);
    await stripe.post('/v1/customers', { emial: 'a@b.example' }, 'typo');
    assert.equal(
      (await stripe.post('/v1/customers', { email: 'a@b.example' }, 'typo')).status,
      200,
    );

    const missing = { customer: 'cus_none', items: [{ price: 'price_pro_monthly' }] };
    await stripe.post('/v1/subscriptions', missing, 'early');
    const again = await stripe.post('/v1/subscriptions', missing, 'early');
    assert.deepEqual([again.status, again.headers.get('idempotent-replayed')], [400, 'true']);
  });

  it('is forgotten after a day', async (test) => {
    const stripe = await started(test);
    await stripe.post('/v1/customers', { name: 'Ana' }, 'key');

    await stripe.command('POST', '/clock', { skewSeconds: 86_400 });

    assert.equal((await stripe.post('/v1/customers', { name: 'Ben' }, 'key')).body.name, 'Ben');
  });
});

describe('the clock', () => {
  it('is stopped, skewed and let go', async (test) => {
    const stripe = await started(test);
    const created = async () => (await stripe.post('/v1/customers')).body.created;

    await stripe.command('POST', '/clock', { now: '2026-01-31T09:00:00Z', skewSeconds: 60 });
    assert.equal(await created(), Date.parse('2026-01-31T09:01:00Z') / 1000);
    await stripe.command('POST', '/clock', { now: null, skewSeconds: 0 });
    assert.ok(Math.abs((await created()) - Date.now() / 1000) < 60);
    assert.equal((await stripe.command('POST', '/clock', { now: 'soon' })).status, 400);
  });
});

describe('the program', () => {
  const run = async (test, ...options) => {
    const child = spawn(process.execPath, [PROGRAM, ...options], { stdio: ['pipe', 'pipe', 2] });
    test.after(() => child.kill('SIGKILL'));
    const [line] = await once(child.stdout, 'data');
    return { child, ready: JSON.parse(line) };
  };

  it('keeps key and account in its directory', async (test) => {
    const state = temporaryDirectory(test);
    const ask = async ({ url, secretKey }, path, options = {}) =>
      (
        await fetch(`${url}${path}`, {
          ...options,
          headers: {
            authorization: `Bearer ${secretKey}`,
            'idempotency-key': 'key',
            'content-type': FORM,
          },
        })
      ).json();
    const first = await run(
      test,
      '--state',
      state,
      '--webhook',
      'http://127.0.0.1:9/hook=whsec_a=',
    );
    const made = await ask(first.ready, '/v1/customers', { method: 'POST', body: 'name=Ana' });
    assert.equal(
      (await command(`${first.ready.control}/webhooks`, 'GET')).body[0].secrets[0],
      'whsec_a=',
    );
    first.child.kill('SIGTERM');
    assert.deepEqual(await once(first.child, 'exit'), [0, null]);

    const { ready } = await run(test, '--state', state);

    assert.equal(ready.secretKey, first.ready.secretKey);
    assert.deepEqual(await ask(ready, `/v1/customers/${made.id}`), made);
    assert.deepEqual(await ask(ready, '/v1/customers', { method: 'POST', body: 'name=Ana' }), made);
    assert.equal((await ask(ready, '/v1/events?delivery_success=false')).data.length, 1);
  });

  it('explains itself when called wrongly', () => {
    const stderrOf = (...options) => {
      try {
        execFileSync(process.execPath, [PROGRAM, ...options], { stdio: 'pipe' });
        return 'no failure';
      } catch (error) {
        assert.equal(error.status, 2);
        return String(error.stderr);
      }
    };

    assert.match(stderrOf('--colour'), /Unknown option '--colour'[^]*usage:/);
    assert.match(stderrOf('--port', 'http'), /bad --port/);
    assert.match(stderrOf('--webhook', 'http://127.0.0.1/hook'), /--webhook wants URL=SECRET/);
    assert.match(stderrOf('--catalogue', '/nowhere'), /--catalogue: ENOENT/);
  });
});

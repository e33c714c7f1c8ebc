import http from 'node:http';
import { startStripe } from '../../stripe.mjs';
import { command } from '../testing.mjs';

/// What the tests of the Stripe stand-in share: a running one, a caller and a receiver of webhooks.

let keys = 0;

/// Started for one test. `get` and `post` answer {status, headers, body}; every `post` has a fresh
/// idempotency key unless given one.
export async function started(test, options = {}) {
  const server = await startStripe(options);
  test.after(() => server.close());
  const call = async (method, path, { body, headers } = {}) => {
    const answer = await fetch(`${server.url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        authorization: `Bearer ${server.secretKey}`,
        ...(body !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      body,
    });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type') === 'application/json';
    return {
      status: answer.status,
      headers: answer.headers,
      body: isJson ? JSON.parse(text) : text,
    };
  };
  return {
    ...server,
    call,
    get: (path, headers) => call('GET', path, { headers }),
    post: (path, form = {}, key = `key-${(keys += 1)}`) =>
      call('POST', path, { body: encode(form), headers: { 'idempotency-key': key } }),
    delete: (path) => call('DELETE', path),
    command: (method, path, body) => command(`${server.control}${path}`, method, body),
    act: async (actions) => (await command(`${server.control}/actions`, 'POST', actions)).body[0],
    eventTypes: () => server.account.events.all.map(({ type }) => type),
  };
}

/// {items: [{price: 'p'}]} as items[0][price]=p; a text is left as it is.
function encode(form) {
  if (typeof form === 'string') return form;
  const pairs = [];
  const put = (name, value) => {
    if (typeof value !== 'object')
      pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
    else for (const [key, each] of Object.entries(value)) put(`${name}[${key}]`, each);
  };
  for (const [name, value] of Object.entries(form)) put(name, value);
  return pairs.join('&');
}

/// An endpoint for webhooks. `answers` are the statuses of the first answers, or 'none'; 200 afterwards;
/// `received(n)` waits for the n-th and gives [{event, body, signature}].
export async function receiver(test, answers = []) {
  const deliveries = [];
  const waiting = [];
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString('utf8');
    deliveries.push({
      event: JSON.parse(body),
      body,
      signature: request.headers['stripe-signature'],
    });
    const status = answers.shift() ?? 200;
    if (status !== 'none') response.writeHead(status).end();
    waiting
      .filter(({ count }) => deliveries.length >= count)
      .forEach(({ done }) => done(deliveries));
  });
  await new Promise((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  test.after(
    () =>
      new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      }),
  );
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    deliveries,
    types: () => deliveries.map(({ event }) => event.type),
    received: (count) =>
      new Promise((done) => {
        if (deliveries.length >= count) done(deliveries);
        else waiting.push({ count, done });
      }),
  };
}

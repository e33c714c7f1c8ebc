/// The newsletter (hub.md §7): double opt-in by mail, and nothing that tells whose address is known.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect } from './harness.mjs';
import { linkIn, startPost } from './resend.mjs';

const SUBSCRIBE = '/api/newsletter/subscribe', CONFIRM = '/api/newsletter/confirm', END = '/api/newsletter/unsubscribe';
const PUBLIC = 'https://hub.example.com', ALSO = 'https://www.hub.example.com';
let post, service;
before(async () => {
  post = await startPost({ BINNACLE_HTTP_PUBLIC_URL: PUBLIC, BINNACLE_HTTP_ALLOWED_ORIGINS: ALSO });
  ({ service } = post);
});
after(() => post?.stop());

let callers = 1;
/// From an address of its own, so that limits do not add up.
const send = (path, body, { origin = PUBLIC, from = `127.0.1.${(callers += 1)}`, headers = {} } = {}) =>
  service.call('POST', path, { body, from, headers: { ...(origin && { Origin: origin }), ...headers } });
const wish = (email, more = {}) => ({ email, consent: true, ...more });
const subscribers = () => service.sql('SELECT email, first_name, source FROM newsletter_subscribers ORDER BY email');
const confirm = (link) => service.call('GET', `${CONFIRM}${link.search}`);
const flat = (error, details) => ({ success: false, error, ...(details && { details }) });

test('who wants the newsletter gets a mail, and it after following the link', async () => {
  expect(await send(SUBSCRIBE, wish(' Reader@Example.com', { firstName: ' Rita ', source: 'footer' })), 200, { success: true,
    data: { message: 'Please check your email to confirm your subscription!', email: 'reader@example.com',
      nextStep: 'confirmation_required', info: "We've sent a confirmation link to your email address. It is valid for 24 hours." } });
  const mail = await post.mailTo('reader@example.com');
  assert.match(mail.subject, /bestätige/);
  assert.match(mail.text, /Hallo Rita!/);
  const link = linkIn(mail);
  assert.equal(link.origin + link.pathname, `${PUBLIC}/newsletter/confirm`);
  assert.match(link.searchParams.get('token'), /^[0-9a-z]{64}$/);
  assert.equal(link.searchParams.get('email'), 'reader@example.com');
  assert.deepEqual(subscribers(), []);

  const head = await service.call('HEAD', `${CONFIRM}${link.search}`);
  assert.equal(head.status, 200); // and uses nothing up
  const { subscription_date: since, ...rest } = expect(await confirm(link), 200).json;
  assert.deepEqual(rest, { success: true, message: 'Your newsletter subscription has been confirmed.', email: 'reader@example.com' });
  assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000);
  assert.deepEqual(subscribers(), [['reader@example.com', 'Rita', 'footer']]);
  expect(await confirm(link), 404, flat('Confirmation link expired or invalid'));
});

test('a token is stored as its digest', async () => {
  expect(await send(SUBSCRIBE, wish('digest@example.com')), 200);
  const token = linkIn(await post.mailTo('digest@example.com')).searchParams.get('token');
  for (const table of ['newsletter_requests', 'mail_outbox'])
    assert.deepEqual(service.sql(`SELECT count(*) FROM ${table} t WHERE t::text LIKE '%${token}%'`), [['0']]);
});

test('what is wrong with a request is said as the hub does', async () => {
  for (const [body, field] of [[{}, 'email'], [wish('nobody'), 'email'], [{ email: 'a@example.com' }, 'consent'],
    [{ email: 'a@example.com', consent: false }, 'consent'], [{ email: 'a@example.com', consent: 'true' }, 'consent'],
    [wish('a@example.com', { firstName: ' ' }), 'firstName'], [wish('a@example.com', { source: 'x'.repeat(101) }), 'source'],
    [wish('a@example.com', { firstName: 'You won!\n\nClick' }), 'firstName'], [wish('a@example.com', { firstName: 'at https://evil.example' }), 'firstName']]) {
    const { error } = expect(await send(SUBSCRIBE, body), 400).json;
    assert.deepEqual([error.type, error.message], ['validation_error', 'Invalid JSON body'], JSON.stringify(body));
    assert.deepEqual(Object.keys(error.details.details.fieldErrors), [field]);
  }
  expect(await send(SUBSCRIBE, wish('wide@example.com', { source: 'ä'.repeat(100) })), 200);
  assert.equal(expect(await send(SUBSCRIBE, '['), 400).json.error.message, 'Invalid JSON body');
  assert.equal(expect(await service.call('GET', SUBSCRIBE), 405).headers.allow.includes('POST'), true);
});

test('a browser must come from an allowed origin', async () => {
  for (const path of [SUBSCRIBE, END]) {
    expect(await send(path, wish('x@example.com'), { origin: null }), 403);
    expect(await send(path, wish('x@example.com'), { origin: 'https://evil.example' }), 403);
  }
});

test('links lead to the origin that asked if it is ours, whatever the Host says', async () => {
  expect(await send(SUBSCRIBE, wish('also@example.com'), { origin: ALSO, headers: { Host: 'evil.example' } }), 200);
  assert.equal(linkIn(await post.mailTo('also@example.com')).origin, ALSO);
  const own = await send(SUBSCRIBE, wish('host@example.com'), { origin: PUBLIC, headers: { Host: 'evil.example', 'X-Forwarded-Host': 'evil.example' } });
  expect(own, 200);
  assert.equal(linkIn(await post.mailTo('host@example.com')).origin, PUBLIC);
});

test('ten requests a minute from one address', async () => {
  const from = '127.0.2.1';
  for (let i = 0; i < 10; i += 1) expect(await send(SUBSCRIBE, wish(`n${i}@example.com`), { from }), 200);
  const over = expect(await send(SUBSCRIBE, wish('n10@example.com'), { from }), 429);
  assert.equal(over.json.error, 'Rate limit exceeded');
  expect(await send(END, { email: 'n0@example.com' }, { from }), 200); // a class of its own
});

test('nobody is sent more than three confirmations an hour, and nobody is told', async () => {
  const answers = [];
  for (let i = 0; i < 5; i += 1) {
    answers.push(expect(await send(SUBSCRIBE, wish('victim@example.com')), 200).text);
    if (i % 2) expect(await send(END, { email: 'victim@example.com' }), 200); // anybody may
  }
  assert.equal(new Set(answers).size, 1);
  await post.mailTo('victim@example.com', 3);
  expect(await send(SUBSCRIBE, wish('after@example.com')), 200);
  await post.mailTo('after@example.com'); // what came before it has been sent
  assert.equal(post.mailsTo('victim@example.com').length, 3);
});

test('a confirmation must be whole, in time, and for its address', async () => {
  expect(await service.call('GET', CONFIRM), 400, flat('Invalid confirmation link', 'token'));
  expect(await service.call('GET', `${CONFIRM}?token=${'x'.repeat(31)}`), 400, flat('Invalid confirmation link', 'token'));
  const token = 'x'.repeat(64);
  expect(await service.call('GET', `${CONFIRM}?token=${token}&email=`), 400, flat('Invalid confirmation link', 'email'));
  expect(await service.call('GET', `${CONFIRM}?token=${token}&email=x`), 400, flat('Invalid confirmation link', 'email'));
  expect(await service.call('GET', `${CONFIRM}?token=${token}`), 404, flat('Confirmation link expired or invalid'));

  expect(await send(SUBSCRIBE, wish('late@example.com')), 200);
  const link = linkIn(await post.mailTo('late@example.com'));
  const other = new URL(link);
  other.searchParams.set('email', 'other@example.com');
  expect(await confirm(other), 400, flat('Email address does not match confirmation link'));
  service.sql("UPDATE newsletter_requests SET expires_at = now() WHERE email = 'late@example.com'");
  expect(await confirm(link), 410, flat('Confirmation link has expired. Please subscribe again.'));
  expect(await confirm(link), 404); // it is gone
});

test('a link works without the address, and for one of many at once', async () => {
  expect(await send(SUBSCRIBE, wish('many@example.com')), 200);
  const token = linkIn(await post.mailTo('many@example.com')).searchParams.get('token');
  const answers = await Promise.all(Array.from({ length: 8 }, () => service.call('GET', `${CONFIRM}?token=${token}`)));
  assert.deepEqual(answers.map((a) => a.status).sort(), [200, ...Array(7).fill(404)]);
});

test('unsubscribing always succeeds, and voids what was asked for', async () => {
  expect(await send(SUBSCRIBE, wish('leaver@example.com')), 200);
  const link = linkIn(await post.mailTo('leaver@example.com'));
  expect(await send(SUBSCRIBE, wish('leaver@example.com')), 200);
  expect(await confirm(linkIn(await post.mailTo('leaver@example.com', 2))), 200);
  const gone = (email) => ({ success: true, data: { message: 'Erfolgreich abgemeldet', email } });
  expect(await send(END, { email: 'Leaver@example.com' }), 200, gone('leaver@example.com'));
  assert.ok(!subscribers().some(([email]) => email === 'leaver@example.com'));
  expect(await confirm(link), 404);
  expect(await send(END, { email: 'never@example.com' }), 200, gone('never@example.com'));
  assert.equal(expect(await send(END, { email: 'x' }), 400).json.error.type, 'validation_error');
});

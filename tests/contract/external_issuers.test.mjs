/// Bearer tokens of other issuers: one publishes a JWKS as Auth0 does, one a map of certificates as
/// Firebase does, one signs with ES256, and one has trouble with its server.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  PASSWORD, expect, freePort, jwt, makeDirectory, serveHttp, startService, subjectOf, until,
} from './harness.mjs';

const FIREBASE = { iss: 'https://securetoken.google.com/demo', aud: 'demo' };
const AUTH0 = { iss: 'https://demo.eu.auth0.com/', aud: 'https://api.example.com' };
const ELLIPTIC = { iss: 'https://elliptic.example.com', aud: 'demo' };
const HANGING = { iss: 'https://hanging.example.com', aud: 'demo' };
const SHAKY = { iss: 'https://shaky.example.com', aud: 'demo' };

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const jwkOf = (key, kid, alg) =>
  ({ ...createPublicKey(key).export({ format: 'jwk' }), kid, alg, use: 'sig' });

/// A key and its certificate, as Google publishes them.
function certified() {
  const text = execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-noenc', '-days', '2',
    '-subj', '/CN=securetoken.system.gserviceaccount.com', '-keyout', '-', '-out', '-'],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 20_000 });
  return {
    key: createPrivateKey(text),
    certificate: /-----BEGIN CERTIFICATE-----[^]+-----END CERTIFICATE-----\n/.exec(text)[0],
  };
}

const SHAKY_HOST = '127.77.0.2'; // on 127.0.0.1 somebody may take the port meanwhile
let service, keys, shakyPort, shaky;
const fetched = {}; // how often which document was asked for
const documents = {};
const signers = { auth0: rsa(), next: rsa(), shaky: rsa(), stranger: rsa() };
const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

function publish(request, response) {
  fetched[request.url] = (fetched[request.url] ?? 0) + 1;
  if (request.url === '/hanging') return; // and no answer
  const document = documents[request.url];
  response.writeHead(document ? 200 : 404,
    { 'Content-Type': 'application/json', 'Cache-Control': 'public, max-age=3600' });
  response.end(JSON.stringify(document ?? {}));
}

before(async () => {
  const { key, certificate } = certified();
  signers.firebase = key;
  documents['/x509'] = { 'cert-1': certificate };
  documents['/jwks'] = { keys: [jwkOf(signers.auth0, 'auth0-1', 'RS256')] };
  documents['/elliptic'] = { keys: [jwkOf(elliptic, 'ec-1', 'ES256')] };
  documents['/shaky'] = { keys: [jwkOf(signers.shaky, 'shaky-1', 'RS256')] };
  keys = await serveHttp(publish);
  shakyPort = await freePort(); // nobody listens there yet

  const directory = makeDirectory();
  const issuer = ({ iss, aud }, url, more = '') => `[[identity.issuers]]
issuer = "${iss}"
audience = "${aud}"
keys_url = "${url}"
${more}
`;
  const file = join(directory, 'binnacle.toml');
  writeFileSync(file, issuer(FIREBASE, `${keys.url}/x509`, 'require_auth_time = true') +
    issuer(AUTH0, `${keys.url}/jwks`) +
    issuer(HANGING, `${keys.url}/hanging`) +
    issuer(ELLIPTIC, `${keys.url}/elliptic`, 'algorithm = "ES256"\nsurfaces = ["platform"]') +
    issuer(SHAKY, `http://${SHAKY_HOST}:${shakyPort}/shaky`));
  service = await startService({
    directory, env: { BINNACLE_CONFIG: file, BINNACLE_RATE_LIMIT_SCALE: '1000' },
  });
});
after(async () => {
  await service?.stop();
  await keys?.close();
  await shaky?.close();
});

const seconds = () => Math.floor(Date.now() / 1000);
const make = (header, claims, key, hash = 'RSA-SHA256') =>
  jwt({ alg: 'RS256', typ: 'JWT', ...header },
    { iat: seconds(), exp: seconds() + 600, ...claims },
    (text) => sign(hash, Buffer.from(text), key));
const firebase = (claims, header) => make({ kid: 'cert-1', ...header },
  { ...FIREBASE, auth_time: seconds() - 5, ...claims }, signers.firebase);
const auth0 = (claims, header) =>
  make({ kid: 'auth0-1', ...header }, { ...AUTH0, ...claims }, signers.auth0);
const me = (token) => service.call('GET', '/api/auth/me', { token });
const usage = (token) => service.call('GET', '/api/usage', { token });
const idOf = async (token) => expect(await me(token), 200).json.id;

// First of all, while nobody's keys are known.
test('an issuer that hangs makes nobody wait but its own users', async () => {
  const token = make({ kid: 'x' }, { ...HANGING, sub: 'x' }, signers.stranger);
  const waiting = usage(token);
  await until('its keys are asked for', () => fetched['/hanging'] === 1);
  let over = false;
  waiting.then(() => { over = true; });
  const others = [usage(auth0({ sub: 'auth0|1' })), usage(firebase({ sub: 'firebase-1' }))];
  for (const answer of await Promise.all(others)) expect(answer, 200);
  assert.ok(!over, 'they have waited for it');
  expect(await waiting, 503, { error: 'Service temporarily unavailable' });
});

test('a Firebase token is accepted, and its subject becomes a user', async () => {
  const token = firebase({ sub: 'firebase-ada', email: 'ada@example.com', email_verified: true });
  expect(await usage(token), 200);
  const { id, username, isAdmin } = expect(await me(token), 200).json;
  assert.match(id, /^usr_/);
  assert.deepEqual([username, isAdmin], [null, false]);
  assert.deepEqual(service.sql(`SELECT email FROM users WHERE id = '${id}'`), [['ada@example.com']]);
});

test('an Auth0 token is accepted, for one audience or several', async () => {
  const id = await idOf(auth0({ sub: 'auth0|1' }));
  assert.equal(await idOf(auth0({ sub: 'auth0|1', aud: ['x', AUTH0.aud] })), id);
  assert.notEqual(await idOf(auth0({ sub: 'auth0|2' })), id);
});

test('an ES256 token is accepted on the surfaces of its issuer only', async () => {
  const token = jwt({ alg: 'ES256', kid: 'ec-1' }, { ...ELLIPTIC, sub: 'ec', iat: seconds(),
    exp: seconds() + 600 }, (text) => sign('SHA256', Buffer.from(text),
    { key: elliptic, dsaEncoding: 'ieee-p1363' }));
  expect(await usage(token), 200);
  expect(await me(token), 401);
});

test('where an issuer is configured, a login with a password opens the gateway only', async () => {
  await service.user('local');
  const browser = service.browser();
  expect(await browser.call('POST', '/api/auth/login',
    { body: { username: 'local', password: PASSWORD } }), 200);
  const { session } = browser.jar;
  expect(await browser.call('GET', '/api/auth/me'), 200);
  expect(await browser.call('GET', '/api/billing'), 401);
  for (const name of ['session', 'session_id', '__Host-session'])
    expect(await service.call('GET', '/api/dashboard/billing-summary',
      { cookie: `${name}=${session}` }), 401);
});

test('keys are fetched once and then kept', async () => {
  for (let i = 0; i < 5; ++i) expect(await usage(auth0({ sub: `auth0|many-${i}` })), 200);
  assert.equal(fetched['/jwks'], 1);
  assert.equal(fetched['/x509'], 1);
});

test('of many first sights of a subject at once one user comes out', async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, () =>
    me(auth0({ sub: 'auth0|crowd', email: 'crowd@example.com', email_verified: true }))));
  assert.equal(new Set(answers.map((a) => expect(a, 200).json.id)).size, 1);
});

// -- linking ----------------------------------------------------------------------------------------

test('a verified address links to the user who has it, whatever its case', async () => {
  const known = subjectOf(await service.token('linked@example.com'));
  assert.equal(await idOf(auth0({ sub: 'auth0|l', email: 'Linked@Example.com', email_verified: true })),
    known);
  assert.equal(await idOf(firebase({ sub: 'fb-l', email: 'linked@example.com', email_verified: true })),
    known);
  assert.equal(await idOf(auth0({ sub: 'auth0|l' })), known); // also without the address, later
});

for (const [what, claims] of [
  ['false', { email_verified: false }], ['absent', {}], ['a number', { email_verified: 1 }],
  ['a list', { email_verified: [true] }],
]) {
  test(`an address whose verification is ${what} links to nobody and is not kept`, async () => {
    const known = subjectOf(await service.token('victim@example.com', '--admin'));
    const sub = `auth0|attacker-${what}`;
    const id = await idOf(auth0({ sub, email: 'victim@example.com', ...claims }));
    assert.notEqual(id, known);
    assert.deepEqual(service.sql(`SELECT email IS NULL FROM users WHERE id = '${id}'`), [['t']]);
  });
}

test('two issuers\' equal subjects are two users', async () => {
  assert.notEqual(await idOf(auth0({ sub: 'same' })), await idOf(firebase({ sub: 'same' })));
});

test('a subject whose user is gone becomes a new user', async () => {
  const token = auth0({ sub: 'auth0|removed' });
  const id = await idOf(token);
  service.sql(`DELETE FROM users WHERE id = '${id}'`);
  service.announce(`identity:${id}`);
  await until('there is a new one', async () => {
    const answer = await me(token);
    return answer.status === 200 && answer.json.id !== id;
  }, 5_000);
});

test('a suspended user is locked out here too', async () => {
  const token = auth0({ sub: 'auth0|suspended' });
  service.changeUser(await idOf(token), `status = 'suspended'`);
  await until('it is known', async () => (await usage(token)).status === 403);
});

// -- refusals ---------------------------------------------------------------------------------------

const refused = {
  'expired': () => auth0({ sub: 'x', iat: seconds() - 900, exp: seconds() - 120 }),
  'without an end': () => auth0({ sub: 'x', exp: undefined }),
  'not valid yet': () => auth0({ sub: 'x', nbf: seconds() + 300 }),
  'issued in the future': () => auth0({ sub: 'x', iat: seconds() + 300 }),
  'for another audience': () => auth0({ sub: 'x', aud: 'other' }),
  'for no audience': () => auth0({ sub: 'x', aud: undefined }),
  'of an issuer with another spelling': () => auth0({ sub: 'x', iss: 'https://demo.eu.auth0.com' }),
  'of an issuer that is not configured': () => auth0({ sub: 'x', iss: 'https://evil.example/' }),
  'without a subject': () => auth0({}),
  'with an empty subject': () => auth0({ sub: '' }),
  'with a subject of 256 characters': () => auth0({ sub: 'x'.repeat(256) }),
  'with a subject that is no text': () => auth0({ sub: 7 }),
  'without a kid': () => auth0({ sub: 'x' }, { kid: undefined }),
  'of Firebase without auth_time': () => firebase({ sub: 'x', auth_time: undefined }),
  'of Firebase with an auth_time to come': () => firebase({ sub: 'x', auth_time: seconds() + 300 }),
  'signed with another issuer\'s key': () =>
    make({ kid: 'auth0-1' }, { ...AUTH0, sub: 'x' }, signers.firebase),
  'signed with a stranger\'s key': () =>
    make({ kid: 'auth0-1' }, { ...AUTH0, sub: 'x' }, signers.stranger),
  'with another hash than pinned': () =>
    make({ kid: 'auth0-1', alg: 'RS512' }, { ...AUTH0, sub: 'x' }, signers.auth0, 'RSA-SHA512'),
  'with alg none': () => jwt({ alg: 'none', kid: 'auth0-1' },
    { ...AUTH0, sub: 'x', exp: seconds() + 600 }, () => ''),
  'with HS256 and the public key': () => jwt({ alg: 'HS256', kid: 'auth0-1' },
    { ...AUTH0, sub: 'x', exp: seconds() + 600 }, (text) =>
      createHmac('sha256', createPublicKey(signers.auth0).export({ type: 'spki', format: 'pem' }))
        .update(text).digest()),
  'that brings its own key': () => make({ kid: 'auth0-1', jwk: jwkOf(signers.stranger, 'auth0-1') },
    { ...AUTH0, sub: 'x' }, signers.stranger),
  'with ES256 and a DER signature': () => jwt({ alg: 'ES256', kid: 'ec-1' },
    { ...ELLIPTIC, sub: 'x', exp: seconds() + 600 }, (text) =>
      sign('SHA256', Buffer.from(text), elliptic)),
};
for (const [what, token] of Object.entries(refused))
  test(`a token ${what} is refused`, async () => {
    expect(await usage(token()), 401, { error: 'Not authenticated' });
  });

test('our own tokens are not good where another issuer is, but on the gateway they are', async () => {
  const token = await service.token('local@example.com');
  expect(await usage(token), 401);
  expect(await me(token), 200);
});

// -- keys that change, servers that fail ------------------------------------------------------------

test('an unknown kid makes one fetch, however many tokens have it', async () => {
  const rotated = () => make({ kid: 'auth0-2' }, { ...AUTH0, sub: 'auth0|1' }, signers.next);
  const before = fetched['/jwks'];
  documents['/jwks'].keys.push(jwkOf(signers.next, 'auth0-2', 'RS256'));
  await until('the new key is known', async () => (await usage(rotated())).status === 200, 120_000);
  assert.equal(fetched['/jwks'], before + 1);
  await Promise.all(Array.from({ length: 30 }, (_, i) =>
    usage(make({ kid: `made-up-${i}` }, { ...AUTH0, sub: 'x' }, signers.stranger))));
  assert.ok(fetched['/jwks'] <= before + 2, `${fetched['/jwks']} fetches`);
  expect(await usage(auth0({ sub: 'auth0|1' })), 200);
});

test('while an issuer\'s keys cannot be had, its users are told to come back; then all is well', async () => {
  const token = () => make({ kid: 'shaky-1' }, { ...SHAKY, sub: 'shaky|1' }, signers.shaky);
  for (let i = 0; i < 3; ++i) {
    const answer = expect(await usage(token()), 503, { error: 'Service temporarily unavailable' });
    assert.ok(Number(answer.headers['retry-after']) >= 1);
  }
  expect(await usage(auth0({ sub: 'auth0|1' })), 200); // others are not concerned
  shaky = await serveHttp(publish, shakyPort, SHAKY_HOST);
  await until('the keys are there', async () => (await usage(token())).status === 200);
  await shaky.close();
  expect(await usage(token()), 200); // and stay
});

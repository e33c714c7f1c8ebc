/// POST /api/user/avatar, with objects in a directory and in R2.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { form, png, sizeOf } from './pictures.mjs';
import { startStandIn } from './r2.mjs';
import { hubHeaders } from './stripe.mjs';

const AVATAR = '/api/user/avatar';
let plain, cloud, r2;

before(async () => {
  r2 = await startStandIn();
  const env = { BINNACLE_RATE_LIMIT_SCALE: '1000', ...ATTENTIVE };
  [plain, cloud] = await Promise.all([
    startService({ env }), startService({ env: { ...env, ...r2.env } })]);
  for (const service of [plain, cloud]) rest(service);
});
after(() => Promise.all([plain?.stop(), cloud?.stop(), r2?.close()]));

let people = 0;
async function somebody(at = plain) {
  const token = await at.token(`face${++people}@example.com`);
  return { token, id: subjectOf(token) };
}
async function upload(who, fields, at = plain, more = {}) {
  const { body, headers } = await form(fields);
  const browser = hubHeaders(at);
  return at.call('POST', AVATAR, { token: who?.token, body, cookie: browser.cookie,
    headers: { ...browser.headers, ...headers, ...more } });
}
const picture = (bytes = png(), name = 'me.png') => [['avatar', bytes, name]];
const refusal = (message) => ({ success: false, error: { type: 'validation_error', message } });
const filesIn = (service) => {
  const folder = join(service.data, 'objects/avatars');
  return existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : [];
};
const imageOf = (service, { id }) => service.sql(`SELECT image FROM users WHERE id = '${id}'`)[0]?.[0];
const due = (service) => service.sql("UPDATE unwanted_objects SET due_at = now() - interval '1 s' RETURNING key");

// The timer looks every second, and finds nothing to do until it is told that a run is due.
const ATTENTIVE = { BINNACLE_R2_REMOVAL_INTERVAL: '1s' };
const plan = (service, due) => service.sql(`INSERT INTO timers (name, next_due) VALUES ('remove-objects', ${due})
  ON CONFLICT (name) DO UPDATE SET next_due = EXCLUDED.next_due`);
const rest = (service) => plan(service, "now() + interval '1 year'");
/// Runs it until the question is answered.
async function removing(service, what, question) {
  plan(service, 'now()');
  await until(what, question);
  rest(service);
}

for (const [where, service, files] of [
  ['a directory', () => plain, () => filesIn(plain)],
  ['R2', () => cloud, async () => (await r2.objects()).map((name) => name.replace('pictures/', ''))],
])
  test(`an avatar is kept in ${where}, shown, and replaced`, async () => {
    const at = service();
    const who = await somebody(at);
    const answer = expect(await upload(who, [['csrf_token', 'x'], ...picture()], at), 200);
    const { message, avatarUrl, imageUrl } = answer.json.data;
    assert.deepEqual(answer.json, { success: true, data: { message, avatarUrl, imageUrl } });
    assert.equal(message, 'Avatar erfolgreich aktualisiert');
    assert.equal(imageUrl, avatarUrl);
    assert.match(avatarUrl, new RegExp(`^/r2/avatar-${who.id}-\\d{13}\\.webp$`));
    assert.equal(imageOf(at, who), avatarUrl);
    assert.deepEqual(at.sql('SELECT * FROM unwanted_objects'), []);

    const shown = expect(await at.call('GET', avatarUrl), 200);
    assert.equal(shown.headers['content-type'], 'image/webp');
    assert.equal(shown.headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(shown.headers['x-content-type-options'], 'nosniff');
    assert.deepEqual(sizeOf(shown.raw), [64, 64]);

    const next = expect(await upload(who, picture(png({ width: 900, height: 300 })), at), 200);
    assert.deepEqual(sizeOf((await at.call('GET', next.json.data.imageUrl)).raw), [512, 171]);
    assert.equal(due(at).length, 1);
    await removing(at, 'the old one is gone', async () => (await files()).length === 1);
    await until('and forgotten', () => at.sql('SELECT * FROM unwanted_objects').length === 0);
    assert.deepEqual(await files(), [next.json.data.imageUrl.replace('/r2/', '')]);
    expect(await at.call('GET', avatarUrl), 404);
    assert.deepEqual(at.sql(`SELECT action, target FROM audit_log WHERE actor = '${who.id}'
      AND action LIKE 'avatar%'`), Array(2).fill(['avatar_updated', who.id]));
  });

const refused = [
  ['no form', null, 'Fehler beim Verarbeiten der Formulardaten'],
  ['a form without a file', [['avatar', 'text']], 'Keine gültige Datei hochgeladen'],
  ['a file in another field', [['picture', png(), 'me.png']], 'Keine gültige Datei hochgeladen'],
  ['another extension', picture(png(), 'me.gif'), 'Ungültiger Dateityp'],
  ['no extension', picture(png(), 'png'), 'Ungültiger Dateityp'],
  ['another extension at the end', picture(png(), 'me.png.exe'), 'Ungültiger Dateityp'],
  ['one byte too many', picture(png({ size: 5 * 2 ** 20 + 1 })), 'Datei zu groß'],
  ['a large file of another type', picture(png({ size: 5 * 2 ** 20 + 1 }), 'me.gif'), 'Ungültiger Dateityp'],
  ['a page', picture(Buffer.from('<script>alert(1)</script>')), 'Ungültiger Dateityp'],
  ['an animated GIF', picture(Buffer.from('GIF89a\x01\x00\x01\x00')), 'Ungültiger Dateityp'],
  ['an empty file', picture(Buffer.alloc(0)), 'Ungültiger Dateityp'],
  ['half a picture', picture(png().subarray(0, 80)), 'Das Bild ist beschädigt'],
  ['a bomb', picture(png({ claimed: { width: 50_000, height: 50_000 } })), 'Das Bild hat zu viele Bildpunkte'],
];
for (const [what, fields, message] of refused)
  test(`an upload with ${what} is refused`, async () => {
    const who = await somebody();
    const answer = fields ? await upload(who, fields)
      : await plain.call('POST', AVATAR, { token: who.token, body: '{}', ...hubHeaders(plain) });
    expect(answer, 400, refusal(message));
    assert.equal(imageOf(plain, who), undefined);
    assert.deepEqual(plain.sql('SELECT * FROM unwanted_objects'), []);
  });

test('exactly 5 MiB pass, and so does an extension in capitals', async () => {
  const bytes = png({ size: 5 * 2 ** 20 });
  assert.equal(bytes.length, 5 * 2 ** 20);
  expect(await upload(await somebody(), picture(bytes, 'ME.PNG')), 200);
});

test('a form beyond all measure is refused before it is read', async () => {
  const { token } = await somebody();
  const answer = await new Promise((done, failed) => {
    const request = http.request(`${plain.url}${AVATAR}`, { method: 'POST', agent: false, headers: {
      Authorization: `Bearer ${token}`, 'Content-Type': 'multipart/form-data; boundary=x', 'Content-Length': 7 * 2 ** 20 } });
    request.on('error', failed);
    request.on('response', async (response) => {
      const parts = await response.toArray();
      request.destroy();
      done({ status: response.statusCode, body: JSON.parse(Buffer.concat(parts).toString()) });
    });
    request.flushHeaders(); // and nothing more
  });
  assert.deepEqual(answer, { status: 413, body: refusal('Die Anfrage ist zu groß') });
});

test('forms on their way may fill so much memory and no more', async () => {
  const held = [], refused = [];
  for (let i = 0; i < 60; ++i) {
    const socket = net.connect(Number(new URL(plain.url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.on('data', (bytes) => refused.push(bytes.toString().split('\r\n')[0]));
    socket.write(`POST ${AVATAR} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n`
      + `Content-Length: ${6 * 2 ** 20}\r\n\r\n--x`);
    held.push(socket);
  }
  await until('the others are refused', async () => refused.length >= 18); // 42 of 6 MiB fit into 256
  assert.deepEqual(new Set(refused), new Set(['HTTP/1.1 503 Service Unavailable']));
  const who = await somebody();
  expect(await upload(who, picture()), 200); // a form of ordinary size is none of them
  assert.equal(refused.length, 18);
  for (const socket of held) socket.destroy();
});

test('who is not logged in is told so; others need the origin and the token', async () => {
  expect(await upload(null, picture()), 401, { success: false, error: {
    type: 'auth_error', message: 'Für diese Aktion ist eine Anmeldung erforderlich' } });
  const who = await somebody();
  expect(await upload(who, picture(), plain, { Origin: 'https://evil.example' }), 403);
  expect(await upload(who, picture(), plain, { 'X-CSRF-Token': 'other' }), 403);
  assert.match(expect(await plain.call('GET', AVATAR), 405).headers.allow, /POST/);
});

test('the sixth upload within a minute is refused', async () => {
  const strict = await startService();
  try {
    const who = await somebody(strict);
    for (let i = 0; i < 5; ++i) expect(await upload(who, picture(), strict), 200);
    const answer = expect(await upload(who, picture(), strict), 429);
    assert.equal(answer.json.error, 'Rate limit exceeded');
    assert.ok(Number(answer.headers['retry-after']) > 0);
  } finally {
    await strict.stop();
  }
});

test('without a bucket nothing can be uploaded', async () => {
  const none = await startService({ env: { R2_AVATARS: '' } });
  try {
    expect(await upload(await somebody(none), picture(), none), 500, { success: false, error: {
      type: 'server_error', message: 'R2_AVATARS bucket not available' } });
    const answer = expect(await none.call('GET', '/r2/a.webp'), 500);
    assert.equal(answer.text, 'R2 bucket not configured');
  } finally {
    await none.stop();
  }
});

test('uploads at once leave one picture, which is there', async () => {
  const who = await somebody();
  const answers = await Promise.all(Array.from({ length: 4 }, () => upload(who, picture())));
  for (const answer of answers) expect(answer, 200);
  const image = imageOf(plain, who);
  assert.ok(answers.some((answer) => answer.json.data.imageUrl === image));
  expect(await plain.call('GET', image), 200);
  const unwanted = plain.sql('SELECT key FROM unwanted_objects').flat();
  const names = answers.map((answer) => answer.json.data.imageUrl.replace('/r2/', ''));
  assert.deepEqual([...unwanted, image.replace('/r2/', '')].filter((n) => names.includes(n)).sort(), names.sort());
});

// -- when R2 does not do as it is told --------------------------------------------------------------

test('an upload outlasts an R2 that stumbles', async () => {
  for (const kind of [{ kind: 'status', status: 503, retryAfter: 0 }, { kind: 'status', status: 500 },
    { kind: 'status', status: 429 }, { kind: 'reset-after' }, { kind: 'latency', ms: 500 }]) {
    await r2.noFaults();
    await r2.fault({ ...kind, match: 'PUT' });
    const who = await somebody(cloud);
    const answer = expect(await upload(who, picture(), cloud), 200);
    expect(await cloud.call('GET', answer.json.data.imageUrl), 200);
  }
});

test('an upload that R2 refuses changes nothing, and its object is removed later', async () => {
  const who = await somebody(cloud);
  await r2.fault({ kind: 'status', status: 403, match: 'PUT' });
  expect(await upload(who, picture(), cloud), 500, { success: false, error: { type: 'server_error',
    message: 'Fehler beim Hochladen: Der Speicher hat die Datei nicht angenommen' } });
  await r2.noFaults();
  assert.equal(imageOf(cloud, who), undefined);
  assert.equal(cloud.sql(`SELECT count(*) FROM unwanted_objects WHERE key LIKE '%${who.id}%'`)[0][0], '1');
  assert.deepEqual(cloud.sql(`SELECT action FROM audit_log WHERE actor = '${who.id}' AND action LIKE 'avatar%'`),
    [['avatar_update_error']]);
});

test('an R2 that is away is left alone, and used again when it is back', async () => {
  await r2.fault({ kind: 'reset', times: 99 });
  const away = await Promise.all([1, 2, 3].map((n) => cloud.call('GET', `/r2/nothing-${n}.webp`)));
  for (const answer of away) {
    assert.ok([500, 503].includes(answer.status), `${answer.status}`);
    assert.match(answer.headers['content-type'], /^text\/plain/);
  }
  await r2.forget();
  const refusedAtOnce = await cloud.call('GET', '/r2/nothing-4.webp');
  assert.equal(refusedAtOnce.status, 503);
  assert.deepEqual(await r2.calls(), []);
  await r2.noFaults();
  await until('it is asked again', async () => (await cloud.call('GET', '/r2/nothing-5.webp')).status === 404);
});

test('a service killed between the store and the commit leaves no broken picture and no object', async () => {
  const env = { ...r2.env, ...ATTENTIVE, R2_AVATARS: 'killed', BINNACLE_R2_TIMEOUT: '30s' };
  const first = await startService({ env });
  rest(first);
  const who = await somebody(first);
  const before = expect(await upload(who, picture(), first), 200).json.data.imageUrl;
  const kept = async () => (await r2.objects()).filter((name) => name.startsWith('killed/'));
  await r2.fault({ kind: 'latency', ms: 20_000, match: 'PUT /killed' }); // it is there, and not yet said so
  const cut = upload(who, picture(), first).catch(() => {});
  await until('the second one is in the store', async () => (await kept()).length === 2);
  await first.stop('SIGKILL');
  await cut;
  const second = await startService({ directory: first.directory, env });
  try {
    assert.equal(imageOf(second, who), before);
    expect(await second.call('GET', before), 200);
    assert.equal(due(second).length, 1);
    await removing(second, 'the other one is gone', async () => (await kept()).length === 1);
    assert.deepEqual(await kept(), [before.replace('/r2/', 'killed/')]);
    await until('and forgotten', () => second.sql('SELECT * FROM unwanted_objects').length === 0);
  } finally {
    await second.stop();
  }
});

import aws4 from 'aws4';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startR2 } from './r2.mjs';

let r2;
before(async () => { r2 = await startR2(); });
after(() => r2?.close());

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/// Signs with aws4, bends what was signed, and sends it.
async function send(method, path, { body = '', key = r2.key, bend = () => {}, headers = {} } = {}) {
  const { host } = new URL(r2.url);
  const signed = aws4.sign({
    service: 's3', region: 'auto', method, path, host,
    headers: { host, 'x-amz-content-sha256': sha256(body), ...headers },
  }, key);
  const request = { method, path, body, headers: { ...signed.headers } };
  bend(request);
  delete request.headers.host;
  const answer = await fetch(r2.url + request.path,
    { method, headers: request.headers, body: request.body || undefined });
  const text = await answer.text();
  return { status: answer.status, code: /<Code>(\w+)/.exec(text)?.[1], text, headers: answer.headers };
}

test('a signed object is kept, with type and ETag, and removed', async () => {
  const put = await send('PUT', '/avatars/a.webp', { body: 'picture', headers: { 'Content-Type': 'image/webp' } });
  assert.equal(put.status, 200);
  const got = await send('GET', '/avatars/a.webp');
  assert.equal(got.text, 'picture');
  assert.equal(got.headers.get('content-type'), 'image/webp');
  assert.equal(got.headers.get('etag'), put.headers.get('etag'));
  assert.equal((await send('DELETE', '/avatars/a.webp')).status, 204);
  assert.equal((await send('DELETE', '/avatars/a.webp')).status, 204);
  assert.equal((await send('GET', '/avatars/a.webp')).code, 'NoSuchKey');
});

test('parts of an object can be had, as long as it is the same', async () => {
  const put = await send('PUT', '/avatars/a.webp', { body: '0123456789' });
  const etag = put.headers.get('etag');
  const part = await send('GET', '/avatars/a.webp', { headers: { Range: 'bytes=2-4', 'If-Match': etag } });
  assert.deepEqual([part.status, part.text, part.headers.get('content-range')], [206, '234', 'bytes 2-4/10']);
  assert.equal((await send('GET', '/avatars/a.webp', { headers: { Range: 'bytes=-3' } })).text, '789');
  assert.equal((await send('GET', '/avatars/a.webp', { headers: { Range: 'bytes=10-' } })).code, 'InvalidRange');
  assert.equal((await send('GET', '/avatars/a.webp', { headers: { 'If-Match': '"other"' } })).code, 'PreconditionFailed');
  const head = await send('HEAD', '/avatars/a.webp');
  assert.deepEqual([head.text, head.headers.get('content-length')], ['', '10']);
  await send('DELETE', '/avatars/a.webp');
});

test('a generated object tells each four bytes apart', async () => {
  await fetch(`${r2.control}/objects`, { method: 'POST',
    body: JSON.stringify({ name: 'avatars/huge', type: 'video/mp4', size: 1_000_000 }) });
  const { path, headers } = aws4.sign({ service: 's3', region: 'auto', path: '/avatars/huge',
    host: new URL(r2.url).host, headers: { 'x-amz-content-sha256': sha256(''), Range: 'bytes=600002-900001' } }, r2.key);
  delete headers.Host;
  const part = Buffer.from(await (await fetch(r2.url + path, { headers })).arrayBuffer());
  assert.equal(part.length, 300_000);
  for (let at = 2; at + 4 < part.length; at += 4) assert.equal(part.readUInt32LE(at), (600_002 + at) / 4);
  await send('DELETE', '/avatars/huge');
});

const forged = {
  'signed with another secret': [{ key: { accessKeyId: 'mine', secretAccessKey: 'x' } }, 'InvalidAccessKeyId'],
  'for another object': [{ bend: (r) => { r.path = '/avatars/other.webp'; } }, 'SignatureDoesNotMatch'],
  'with another body': [{ bend: (r) => { r.body = 'another'; } }, 'XAmzContentSHA256Mismatch'],
  'with another body and its hash': [{ bend: (r) => {
    r.body = 'another';
    r.headers['x-amz-content-sha256'] = sha256('another');
  } }, 'SignatureDoesNotMatch'],
  'with a signature of one bit less': [{ bend: (r) => {
    r.headers.Authorization = r.headers.Authorization.replace(/.$/, (c) => (c === '0' ? '1' : '0'));
  } }, 'SignatureDoesNotMatch'],
  'of long ago': [{ headers: { 'x-amz-date': '20200101T000000Z' } }, 'RequestTimeTooSkewed'],
  'without a signature': [{ bend: (r) => { delete r.headers.Authorization; } }, 'AccessDenied'],
};
for (const [what, [options, code]] of Object.entries(forged))
  test(`a request ${what} is refused`, async () => {
    const refused = await send('PUT', '/avatars/forged.webp', { body: 'picture', ...options });
    assert.equal(refused.code, code);
    assert.deepEqual(await (await fetch(`${r2.control}/objects`)).json(), []);
  });

test('the right key with a wrong secret does not sign', async () => {
  const key = { ...r2.key, secretAccessKey: 'guessed' };
  assert.equal((await send('GET', '/avatars/a.webp', { key })).code, 'SignatureDoesNotMatch');
});

test('it misbehaves on command', async () => {
  const fault = (what) => fetch(`${r2.control}/faults`, { method: 'POST', body: JSON.stringify([what]) });
  await fault({ kind: 'status', status: 503, retryAfter: 1 });
  const refused = await send('PUT', '/avatars/b.webp', { body: 'b' });
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get('retry-after'), '1');
  await fault({ kind: 'reset-after' });
  await assert.rejects(send('PUT', '/avatars/b.webp', { body: 'b' }));
  assert.deepEqual(await (await fetch(`${r2.control}/objects`)).json(), ['avatars/b.webp']);
});

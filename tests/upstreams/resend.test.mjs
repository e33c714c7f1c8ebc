import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { command } from './lib/testing.mjs';
import { startResend } from './resend.mjs';

const MAIL = { from: 'Us <us@example.com>', to: ['you@example.com'], subject: 'Hello', text: 'Hi', html: '<p>Hi</p>' };

async function started(test) {
  const server = await startResend({ apiKey: 're_test' });
  test.after(() => server.close());
  const post = async (body, { key = 'k1', auth = 'Bearer re_test', path = '/emails' } = {}) => {
    const answer = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(auth && { authorization: auth }), ...(key && { 'idempotency-key': key }) },
      body: JSON.stringify(body),
    });
    return { status: answer.status, headers: answer.headers, json: await answer.json() };
  };
  return { ...server, post, fault: (...faults) => command(`${server.control}/faults`, 'POST', faults) };
}

describe('the stand-in for Resend', () => {
  it('takes a mail and lists it', async (test) => {
    const { post, mails, control } = await started(test);
    const { status, json } = await post(MAIL);
    assert.equal(status, 200);
    assert.equal(mails.length, 1);
    const [listed] = (await command(`${control}/mails`, 'GET')).body;
    assert.deepEqual({ ...listed, receivedAt: 0 }, { ...MAIL, id: json.id, key: 'k1', receivedAt: 0 });
  });

  it('takes it once under a key', async (test) => {
    const { post, mails } = await started(test);
    const [first, second] = [await post(MAIL), await post(MAIL)];
    assert.deepEqual(second.json, first.json);
    assert.equal(mails.length, 1);
    const other = await post({ ...MAIL, subject: 'Other' });
    assert.deepEqual([other.status, other.json.name], [409, 'invalid_idempotent_request']);
  });

  it('wants a key, its own API key and every field', async (test) => {
    const { post, mails } = await started(test);
    for (const [body, options, status] of [
      [MAIL, { auth: null }, 401], [MAIL, { auth: 'Bearer other' }, 403], [MAIL, { key: null }, 400],
      [{ ...MAIL, to: 'you@example.com' }, {}, 422], [{ ...MAIL, to: ['you'] }, {}, 422],
      [{ ...MAIL, from: 'us' }, {}, 422], [{ ...MAIL, text: '' }, {}, 422], [{ ...MAIL, bcc: 'x' }, {}, 422],
      [MAIL, { path: '/mails' }, 404],
    ]) assert.equal((await post(body, options)).status, status, JSON.stringify([body, options]));
    assert.equal(mails.length, 0);
  });

  it('misbehaves on command', async (test) => {
    const { post, mails, fault } = await started(test);
    await fault({ kind: 'status', status: 429, retryAfter: 3 }, { kind: 'status', status: 500, applied: true });
    const limited = await post(MAIL);
    assert.deepEqual([limited.status, limited.headers.get('retry-after'), mails.length], [429, '3', 0]);
    assert.deepEqual([(await post(MAIL)).status, mails.length], [500, 1]);
    await fault({ kind: 'reset-after-apply' });
    await assert.rejects(post(MAIL, { key: 'k2' }));
    assert.equal(mails.length, 2);
    assert.equal((await post(MAIL, { key: 'k2' })).status, 200);
    assert.equal(mails.length, 2);
  });
});

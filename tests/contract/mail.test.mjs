/// The outbox of mails, as admins see it, and what happens while nothing can send them.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, startService, until } from './harness.mjs';
import { startPost } from './resend.mjs';

const MAIL = '/api/admin/mail';
let post, service, admin, owner;
before(async () => {
  post = await startPost({ RESEND_FROM_EMAIL: 'Demo <demo@example.com>', BINNACLE_RATE_LIMIT_SCALE: '1000' });
  ({ service } = post);
  admin = await service.adminToken();
  owner = await service.token('owner@example.com');
});
after(() => post?.stop());

const invite = (email, on = service, token = owner) =>
  on.call('POST', '/api/team/invite', { token, body: { email } });
const list = async (query = '') => expect(await service.call('GET', `${MAIL}${query}`, { token: admin }), 200).json;

test('a mail is sent once, from the configured sender', async () => {
  expect(await invite('one@example.com'), 200);
  const mail = await post.mailTo('one@example.com');
  assert.equal(mail.from, 'Demo <demo@example.com>');
  await until('it is noted', async () => (await list()).mails[0].state === 'sent');
  const [seen] = (await list()).mails;
  assert.deepEqual({ ...seen, queuedAt: '', finishedAt: '' }, { id: mail.key, kind: 'team_invite', to: 'one@example.com',
    subject: 'You have been invited to a team', state: 'sent', attempts: 1, nextAttemptAt: null, lastError: null,
    queuedAt: '', finishedAt: '' });
  assert.equal(post.mailsTo('one@example.com').length, 1);
});

test('admins page through the outbox, without what is in the mails', async () => {
  for (const name of ['a', 'b', 'c']) {
    expect(await invite(`${name}@example.com`), 200);
    await post.mailTo(`${name}@example.com`);
  }
  const first = await list('?limit=2');
  assert.deepEqual(first.mails.map((m) => m.to), ['c@example.com', 'b@example.com']);
  const second = await list(`?limit=2&cursor=${first.nextCursor}`);
  assert.equal(second.mails[0].to, 'a@example.com');
  assert.ok(!JSON.stringify([first, second]).includes('token'));
  assert.equal((await list('?state=failed')).mails.length, 0);
  for (const query of ['?state=lost', '?limit=0', '?limit=201', '?cursor=x'])
    expect(await service.call('GET', `${MAIL}${query}`, { token: admin }), 400);
});

test('a mail that is refused for what it is has failed, others go on', async () => {
  await post.fault({ kind: 'status', status: 422 });
  expect(await invite('refused@example.com'), 200);
  const [seen] = await until('it has failed', async () => {
    const { mails } = await list('?state=failed');
    return mails.length > 0 && mails;
  });
  assert.deepEqual([seen.to, seen.attempts, seen.lastError], ['refused@example.com', 1, 'status 422: misbehaving on command']);
  expect(await invite('next@example.com'), 200);
  await post.mailTo('next@example.com');
});

test('while nothing can send it, a mail waits, and only a developer is shown its link', async () => {
  for (const [deployment, shown] of [['production', false], ['development', true]]) {
    const bare = await startService({ env: { BINNACLE_DEPLOYMENT: deployment } });
    try {
      const token = await bare.token('owner@example.com');
      const { invite: made } = expect(await invite('you@example.com', bare, token), 200).json;
      await until('it is logged', () => bare.output.includes('mail waits in the outbox'));
      assert.equal(bare.output.includes(made.invite_url), shown, deployment);
      assert.deepEqual(bare.sql("SELECT state, attempts, content LIKE 'v1:%' FROM mail_outbox"), [['waiting', '0', 't']]);
    } finally {
      await bare.stop();
    }
  }
});

test('links in mails begin with what is configured, never with what a client claims', async () => {
  const headers = { Host: 'evil.example', Origin: 'http://evil.example', 'X-Forwarded-Host': 'evil.example' };
  const answer = await service.call('POST', '/api/team/invite', { token: owner, headers, body: { email: 'host@example.com' } });
  if (answer.status === 200) assert.ok(!answer.text.includes('evil.example'), answer.text);
  const without = expect(await service.call('POST', '/api/team/invite', { token: owner, headers: { Host: 'evil.example' },
    body: { email: 'host2@example.com' } }), 200);
  assert.ok(!without.text.includes('evil.example'), without.text);
});

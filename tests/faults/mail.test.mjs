/// Whatever Resend does, and whenever we die: every mail arrives, once.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { startResend } from '../upstreams/resend.mjs';
import { eventually, installation } from './harness.mjs';

describe('mails', { timeout: 240_000 }, () => {
  const cleanups = [];
  const test = { after: (f) => cleanups.push(f) };
  let home, resend, service, owner, number = 0;

  before(async () => {
    resend = await startResend();
    test.after(() => resend.close());
    home = installation(test, {
      RESEND_API_KEY: resend.apiKey,
      BINNACLE_MAIL_RESEND_URL: resend.url,
      BINNACLE_MAIL_TIMEOUT: '2s',
      BINNACLE_MAIL_LEASE: '5s',
    });
    service = await home.serve();
    owner = await home.token('owner@example.com');
  });
  after(async () => { for (const f of cleanups.reverse()) await f(); });

  /// Invites somebody new, which causes a mail; their address.
  async function mail() {
    const email = `guest${(number += 1)}@example.com`;
    const { status, text } = await service.call('POST', '/api/team/invite', { headers: owner, body: { email } });
    assert.equal(status, 200, text);
    return email;
  }
  const received = (email) => resend.mails.filter(({ to }) => to[0] === email).length;
  const stateOf = (email) => home.sql(`SELECT state || ' ' || attempts FROM mail_outbox WHERE recipient = '${email}'`);
  /// What was put off is due at once, so that nobody waits for a back-off.
  const hurry = () => home.sql("UPDATE mail_outbox SET next_attempt_at = now() WHERE state = 'waiting' AND holder IS NULL");
  const sent = (email) => eventually(`${email} is sent`, () => {
    hurry();
    return /^sent/.test(stateOf(email));
  });

  for (const fault of [
    { kind: 'status', status: 429, retryAfter: 1 },
    { kind: 'status', status: 500 },
    { kind: 'status', status: 500, applied: true },
    { kind: 'status', status: 403 },
    { kind: 'reset-before' },
    { kind: 'reset-after-apply' },
    { kind: 'hang' },
  ])
    it(`arrive once after ${JSON.stringify(fault)}`, async () => {
      resend.faults.add([{ ...fault, times: 2 }]);
      const email = await mail();
      await eventually('an attempt has failed', () => {
        hurry();
        return Number(stateOf(email).split(' ')[1]) >= 2;
      });
      resend.faults.clear();
      await sent(email);
      assert.equal(received(email), 1);
    });

  it('arrive once when the service is killed while it sends', async () => {
    resend.faults.add([{ kind: 'latency', ms: 1_500 }]);
    const email = await mail();
    await eventually('it is on its way', () => resend.log.entries.at(-1)?.status === null);
    await service.stop('SIGKILL');
    service = await home.serve();
    await eventually('it is sent', () => /^sent/.test(stateOf(email)));
    assert.equal(received(email), 1);
  });

  it('wait while Resend is down, and do not hold up a stop', async () => {
    resend.faults.add([{ kind: 'hang', times: 99 }]);
    const email = await mail();
    await eventually('it is on its way', () => resend.log.entries.at(-1)?.status === null);
    const began = Date.now();
    assert.equal(await service.stop(), 0);
    assert.ok(Date.now() - began < 20_000);
    resend.faults.clear();
    service = await home.serve();
    await sent(email);
    assert.equal(received(email), 1);
  });

  it('go through a mail server, and are tried again when it is busy', async () => {
    const server = await mailServer(['451 4.3.2 try later', '250 2.0.0 taken']);
    test.after(() => server.close());
    await service.stop();
    service = await home.serve({ RESEND_API_KEY: '', SMTP_URL: server.url });
    const email = await mail();
    await eventually('the first attempt has failed', () => /451/.test(home.sql(`SELECT last_error FROM mail_outbox WHERE recipient = '${email}'`)));
    await sent(email);
    assert.equal(server.messages.length, 2);
    const [, { from, to, text }] = server.messages;
    assert.deepEqual([from, to], ['no-reply@localhost', email]);
    assert.match(text, /^Subject: You have been invited to a team\r?$/m);
    assert.match(text, /^Message-ID: <mail_\w+@localhost>\r?$/m);
    const [id] = server.messages.map((m) => /Message-ID: (\S+)/.exec(m.text)[1]);
    assert.ok(text.includes(id), 'it is the same message at every attempt');
  });
});

/// A mail server that takes connections one after another and answers messages with `replies`.
async function mailServer(replies) {
  const messages = [];
  const server = net.createServer((socket) => {
    let rest = '', inData = false, mail = {};
    const say = (line) => socket.write(`${line}\r\n`);
    say('220 stand-in');
    socket.on('error', () => {});
    socket.on('data', (part) => {
      rest += part.toString('latin1');
      for (;;) {
        const end = rest.indexOf(inData ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const line = rest.slice(0, end);
        rest = rest.slice(end + (inData ? 5 : 2));
        if (inData) {
          inData = false;
          messages.push({ ...mail, text: line });
          say(replies.shift() ?? '250 2.0.0 taken');
        } else if (/^EHLO/i.test(line)) say('250 stand-in');
        else if (/^MAIL FROM:<(.*?)>/i.test(line)) {
          mail = { from: /<(.*?)>/.exec(line)[1] };
          say('250 ok');
        } else if (/^RCPT TO:/i.test(line)) {
          mail.to = /<(.*?)>/.exec(line)[1];
          say('250 ok');
        } else if (/^DATA/i.test(line)) {
          inData = true;
          say('354 go on');
        } else if (/^QUIT/i.test(line)) {
          say('221 bye');
          socket.end();
        } else say('250 ok');
      }
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `smtp://127.0.0.1:${server.address().port}`, messages, close: () => server.close() };
}

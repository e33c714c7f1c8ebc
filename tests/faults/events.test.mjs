/// GET /api/events: who listens hears of what changes, wherever it was changed, and of nothing else.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, it } from 'node:test';
import { PASSWORD, cookieOf, eventually, installation } from './harness.mjs';

/// An open stream: {status, headers, events, closed, names(), close()}.
function listen(service, headers, { lastEventId } = {}) {
  return new Promise((done, failed) => {
    const request = http.get({ host: '127.0.0.1', port: service.port, path: '/api/events', agent: false,
      headers: { ...headers, ...(lastEventId && { 'last-event-id': lastEventId }) } });
    request.on('error', failed);
    request.on('response', (answer) => {
      const stream = { status: answer.statusCode, headers: answer.headers, events: [], comments: 0, closed: false, text: '' };
      stream.close = () => request.destroy();
      stream.names = () => stream.events.map((e) => e.event);
      let rest = '';
      answer.setEncoding('utf8');
      answer.on('data', (part) => {
        stream.text += part;
        rest += part;
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          const lines = rest.slice(0, end).split('\n');
          rest = rest.slice(end + 2);
          if (lines[0].startsWith(':')) { stream.comments += 1; continue; }
          stream.events.push(Object.fromEntries(lines.map((line) => /^(\w+): (.*)$/.exec(line).slice(1))));
        }
      });
      answer.on('error', () => {});
      answer.on('close', () => { stream.closed = true; });
      done(stream);
    });
  });
}
const hears = (stream, names) => eventually(`it hears ${names}`, () => stream.names().join() === names.join() || undefined)
  .catch(() => assert.deepEqual(stream.names(), names));

describe('listeners', { timeout: 600_000 }, () => {
  const cleanups = [];
  let home, service, second, admin, ada, bob;
  const idOf = (email) => home.sql(`SELECT id FROM users WHERE email = '${email}'`);
  const tell = (topic, who = '') => home.sql(`SELECT pg_notify('binnacle_changes', '${topic}:${who}')`);

  before(async () => {
    home = installation({ after: (f) => cleanups.push(f) });
    service = await home.serve();
    second = await home.serve({ DATABASE_URL: home.url });
    admin = await home.admin(service);
    ada = await home.token('ada@example.com');
    bob = await home.token('bob@example.com');
  });
  after(async () => { for (const f of cleanups.reverse()) await f(); });

  it('are told where they stand, and then what changes of theirs, on every node', async () => {
    const mine = await listen(service, ada);
    const there = await listen(second, ada);
    const other = await listen(service, bob);
    assert.equal(mine.status, 200);
    assert.match(mine.headers['content-type'], /^text\/event-stream/);
    assert.equal(mine.headers['cache-control'], 'no-store');
    for (const each of [mine, there, other]) await hears(each, ['ready']);
    tell('billing', idOf('ada@example.com'));
    tell('prices');
    for (const each of [mine, there]) await hears(each, ['ready', 'billing', 'prices']);
    await hears(other, ['ready', 'prices']);
    const ids = mine.events.map((e) => e.id);
    assert.equal(new Set(ids).size, ids.length, 'each event has an id of its own');
    for (const each of [mine, there, other]) each.close();
  });

  it('hear once of what they change themselves', async () => {
    const mine = await listen(service, admin);
    await hears(mine, ['ready']);
    const made = await service.call('POST', '/api/admin/clusters', { headers: admin,
      body: { name: 'alpha', api_url: 'https://alpha.example', api_key: 'k' } });
    assert.equal(made.status, 201, made.text);
    tell('prices');
    await hears(mine, ['ready', 'clusters', 'prices']);
    mine.close();
  });

  it('hear that somebody has accepted their invitation, and that somebody has left', async () => {
    const owner = await home.token('owner@example.com');
    const invited = await service.call('POST', '/api/team/invite', { headers: owner, body: { email: 'eva@example.com' } });
    assert.equal(invited.status, 200, invited.text);
    const mine = await listen(second, owner);
    const near = await listen(service, owner); // at the node that makes the changes
    for (const each of [mine, near]) await hears(each, ['ready']);
    const eva = await home.token('eva@example.com');
    const token = new URL(invited.json.invite.invite_url).searchParams.get('token');
    assert.equal((await service.call('POST', '/api/team/join', { headers: eva, body: { token } })).status, 200);
    await hears(mine, ['ready', 'identity']);
    const removed = await service.call('DELETE', `/api/team/members?memberId=${idOf('eva@example.com')}`, { headers: owner });
    assert.equal(removed.status, 200, removed.text);
    await hears(mine, ['ready', 'identity', 'identity']);
    tell('prices'); // what would be told twice comes before it
    for (const each of [mine, near]) await hears(each, ['ready', 'identity', 'identity', 'prices']);
    for (const each of [mine, near]) each.close();
  });

  it('do not hear of clusters unless they are administrators', async () => {
    const user = await listen(service, bob);
    const operator = await listen(service, admin);
    for (const each of [user, operator]) await hears(each, ['ready']);
    tell('clusters');
    tell('usage', idOf('bob@example.com'));
    await hears(user, ['ready', 'usage']);
    await hears(operator, ['ready', 'clusters']);
    for (const each of [user, operator]) each.close();
  });

  it('who come back hear what they missed, and only that', async () => {
    const first = await listen(service, ada);
    await hears(first, ['ready']);
    const { id } = first.events[0];
    first.close();
    await eventually('it is gone', async () => /^binnacle_event_streams 0$/m.test((await service.call('GET', '/metrics')).text));
    tell('usage', idOf('ada@example.com'));
    tell('usage', idOf('ada@example.com'));
    const witness = await listen(service, bob); // what was told before has arrived when it hears of this
    await hears(witness, ['ready']);
    tell('prices');
    await hears(witness, ['ready', 'prices']);
    witness.close();
    const again = await listen(service, ada, { lastEventId: id });
    await hears(again, ['usage', 'prices', 'ready']);
    assert.deepEqual(again.events.slice(0, 2).map((e) => e.id), [undefined, undefined],
      'who is cut off before the end is told again');
    const last = again.events.at(-1).id;
    again.close();
    const third = await listen(service, ada, { lastEventId: last });
    await hears(third, ['ready']);
    third.close();
  });

  it('who were elsewhere, or cannot say where, are told that anything may have changed', async () => {
    const everything = ['identity', 'usage', 'billing', 'prices', 'subscriber', 'api_keys', 'ready'];
    const elsewhere = await listen(second, ada);
    await hears(elsewhere, ['ready']);
    for (const lastEventId of [elsewhere.events[0].id, 'words', `${elsewhere.events[0].id}9999999999999999999999`]) {
      const here = await listen(service, ada, { lastEventId });
      await hears(here, everything);
      here.close();
    }
    elsewhere.close();
  });

  it('are told that anything may have changed when the service did not hear for a while', async () => {
    const mine = await listen(service, ada);
    await hears(mine, ['ready']);
    home.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'binnacle listener'");
    await hears(mine, ['ready', 'identity', 'usage', 'billing', 'prices', 'subscriber', 'api_keys']);
    assert.equal(mine.closed, false);
    mine.close();
  });

  it('end with the token they came with', async () => {
    const short = await home.run(['token', '--email', 'brief@example.com'], { BINNACLE_IDENTITY_ACCESS_TOKEN_LIFE: '3s' });
    const brief = { authorization: `Bearer ${short.out.trim().split('\n').at(-1)}` };
    const stream = await listen(service, brief);
    assert.equal(stream.status, 200);
    await eventually('it ends', () => stream.closed);
    const again = await listen(service, brief);
    assert.equal(again.status, 401);
    again.close();
  });

  it('end at once when their user is suspended, on every node', async () => {
    const token = await home.token('gone@example.com');
    const streams = [await listen(service, token), await listen(second, token)];
    for (const each of streams) await hears(each, ['ready']);
    home.sql("UPDATE users SET status = 'suspended' WHERE email = 'gone@example.com'");
    tell('identity', idOf('gone@example.com'));
    for (const each of streams) await eventually('it ends', () => each.closed);
    const again = await listen(service, token);
    assert.equal(again.status, 403);
    again.close();
  });

  it('end at once when the login they came with is ended, elsewhere too', async () => {
    const logIn = async () => {
      const answer = await service.call('POST', '/api/auth/login', { body: { username: 'admin', password: PASSWORD } });
      return { cookie: cookieOf(answer) };
    };
    const [ended, kept] = [await logIn(), await logIn()];
    const streams = [await listen(service, ended), await listen(second, ended)];
    const others = [await listen(service, kept), await listen(second, kept)];
    for (const each of [...streams, ...others]) await hears(each, ['ready']);
    assert.equal((await service.call('POST', '/api/auth/logout', { headers: ended })).status, 200);
    for (const each of streams) await eventually('it ends', () => each.closed);
    tell('prices');
    for (const each of others) {
      await eventually('it goes on', () => each.names().includes('prices'));
      each.close();
    }
  });

  it('are so many, and then refused', async () => {
    const crowd = await home.token('crowd@example.com');
    const streams = await Promise.all(Array.from({ length: 16 }, () => listen(service, crowd)));
    assert.ok(streams.every((each) => each.status === 200));
    const refused = await listen(service, crowd);
    assert.equal(refused.status, 503);
    streams[0].close();
    await eventually('there is room again', async () => {
      const another = await listen(service, crowd);
      const good = another.status === 200;
      another.close();
      return good;
    });
    for (const each of streams) each.close();
  });

  it('need a credential, and HEAD only looks', async () => {
    const nobody = await listen(service, {});
    assert.equal(nobody.status, 401);
    nobody.close();
    const head = await service.call('HEAD', '/api/events', { headers: ada });
    assert.equal(head.status, 200);
    assert.equal((await service.call('POST', '/api/events', { headers: ada })).status, 405);
  });

  it('are let go at once when the service stops', async () => {
    const streams = [await listen(second, ada), await listen(second, bob)];
    for (const each of streams) await hears(each, ['ready']);
    assert.equal(await second.stop(), 0);
    for (const each of streams) await eventually('it ends', () => each.closed);
  });
});

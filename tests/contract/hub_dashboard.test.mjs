/// The rest of the creator dashboard: what one did, has, is told and is suggested (hub.md §12).
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { hubHeaders, startShop } from './stripe.mjs';

const at = (name) => `/api/dashboard/${name}`;
const ACTION = at('perform-action'), SECRET = 'whsec_dashboard';
let shop, service, stripe, limited;

before(async () => {
  [shop, limited] = await Promise.all([startShop({ STRIPE_WEBHOOK_SECRET: SECRET }), startService()]);
  ({ service, stripe } = shop);
  await stripe.command('POST', '/webhooks', { url: `${service.url}/api/webhooks/stripe`, secret: SECRET });
});
after(() => Promise.all([shop?.stop(), limited?.stop()]));

let people = 0;
async function somebody(where = service) {
  const email = `creator${++people}@example.com`;
  const token = await where.token(email);
  return { token, email, id: subjectOf(token) };
}
const read = async (who, name) =>
  expect(await service.call('GET', at(name), { token: who?.token }), 200).json;
const perform = (who, body, headers = { Origin: service.url }) =>
  service.call('POST', ACTION, { token: who?.token, body, headers });
const good = async (who, action) => {
  const { success, data } = expect(await perform(who, { action }), 200).json;
  assert.equal(success, true);
  return data;
};
const refusal = (type, message) => ({ success: false, error: { type, message } });
const isTime = (text) => assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

test('somebody new has done nothing, has nothing, and is told nothing', async () => {
  const who = await somebody();
  assert.deepEqual(await read(who, 'activity'), []);
  assert.deepEqual(await read(who, 'projects'), []);
  assert.deepEqual(await read(who, 'notifications'), { success: true, data: [] });
  assert.deepEqual(await read(who, 'stats'),
    { success: true, data: { projects: 0, tasks: 0, teamMembers: 1 } });
});

test('projects and tasks are made, counted, and shown to their owner only', async () => {
  const [who, other] = [await somebody(), await somebody()];
  const first = await good(who, 'create_project');
  assert.deepEqual(Object.keys(first), ['message', 'projectId']);
  const second = await good(who, 'create_project');
  const task = await good(who, 'create_task');
  assert.deepEqual(Object.keys(task), ['message', 'taskId']);
  assert.deepEqual((await read(who, 'stats')).data, { projects: 2, tasks: 1, teamMembers: 1 });

  const projects = await read(who, 'projects');
  assert.deepEqual(projects.map((p) => p.id), [second.projectId, first.projectId]);
  for (const { lastUpdated } of projects) isTime(lastUpdated);
  assert.deepEqual({ ...projects[1], lastUpdated: '' }, { id: first.projectId, title: 'New project',
    description: '', progress: 0, status: 'active', lastUpdated: '', members: [] });
  assert.deepEqual(await read(other, 'projects'), []);
});

test('a project has come as far as its tasks, and what changes it brings it to the top', async () => {
  const who = await somebody();
  const old = await good(who, 'create_project');
  await good(who, 'create_project');
  service.sql(`UPDATE hub_projects SET updated_at = now() + interval '1 minute' WHERE id = '${old.projectId}'`);
  for (let i = 0; i < 3; ++i) await good(who, 'create_task');
  service.sql(`UPDATE hub_tasks SET done_at = now() WHERE id IN
    (SELECT id FROM hub_tasks WHERE project_id = '${old.projectId}' LIMIT 2)`);
  const [top, below] = await read(who, 'projects');
  assert.deepEqual([top.id, top.progress, below.progress], [old.projectId, 66, 0]);
});

test('a task without a project is a task', async () => {
  const who = await somebody();
  await good(who, 'create_task');
  assert.equal((await read(who, 'stats')).data.tasks, 1);
});

test('the team are the owner and the members of an account', async () => {
  const [owner, member, gone] = [await somebody(), await somebody(), await somebody()];
  for (const { id } of [member, gone]) service.changeUser(id, `account_owner_id = '${owner.id}'`);
  service.changeUser(gone.id, `status = 'deleted'`);
  for (const who of [owner, member]) assert.equal((await read(who, 'stats')).data.teamMembers, 2);
});

test('the activity is one\'s own, the newest ten, newest first', async () => {
  const [who, other] = [await somebody(), await somebody()];
  for (let i = 0; i < 11; ++i) await good(who, 'create_task');
  await good(who, 'create_project');
  await good(other, 'create_project');
  const activity = await read(who, 'activity');
  assert.equal(activity.length, 10);
  const [newest, before_] = activity;
  assert.deepEqual(Object.keys(newest), ['id', 'user', 'action', 'timestamp', 'icon', 'color']);
  assert.deepEqual([newest.action, before_.action], ['project created', 'task created']);
  assert.deepEqual([typeof newest.id, newest.user, newest.icon, newest.color],
    ['string', who.email, '✨', 'text-purple-400']);
  isTime(newest.timestamp);
  assert.equal(new Set(activity.map((a) => a.id)).size, 10);
});

test('what happens to one\'s money is told once, the newest first', async () => {
  const who = await somebody();
  const { headers, cookie } = hubHeaders(service);
  const buy = async (path, body) => {
    expect(await service.call('POST', path, { token: who.token, headers, cookie, body }), 200);
    const { id } = (await stripe.all('sessions')).filter((s) => s.client_reference_id === who.id).at(-1);
    await stripe.act({ complete: id });
  };
  const told = async (many) => until(`${many} notifications`, async () => {
    const { data } = await read(who, 'notifications');
    return data.length >= many && data;
  });
  await buy('/api/billing/credits', { pack: 500 });
  await told(1);
  await buy('/api/billing/session', { plan: 'pro', workspaceId: 'w' });
  const data = await told(2);
  assert.deepEqual(data.map((n) => [n.type, n.title, n.message, n.read]), [
    ['billing', 'Subscription active', 'Your subscription to the plan pro is active', false],
    ['billing', 'Credits added', '500 credits were added to your account', false],
  ]);
  for (const n of data) {
    assert.deepEqual(Object.keys(n), ['id', 'type', 'title', 'message', 'read', 'createdAt']);
    assert.equal(typeof n.id, 'string');
    isTime(n.createdAt);
  }
  assert.deepEqual((await read(await somebody(), 'notifications')).data, []);
});

test('of many notifications the ten newest are shown', async () => {
  const who = await somebody();
  service.sql(`INSERT INTO hub_notifications (user_id, source, type, title, message, created_at, read_at)
    SELECT '${who.id}', 'test:' || n, 'billing', 't' || n, '', now(), now() FROM generate_series(1, 12) n`);
  const { data } = await read(who, 'notifications');
  assert.deepEqual([data.length, data[0].title, data[9].title, data[0].read], [10, 't12', 't3', true]);
});

test('quick actions are for everybody', async () => {
  const { success, data } = await read(undefined, 'quick-actions');
  assert.equal(success, true);
  assert.deepEqual(data.map((a) => [a.id, a.action]), [['qa1', 'create_project']]);
});

for (const [query, title] of [['?locale=de', 'Erste Schritte'], ['?locale=en', 'Getting started'],
  ['', 'Getting started'], ['?locale=xx', 'Getting started']])
  test(`recommendations with ${query || 'no locale'} say "${title}"`, async () => {
    const { data } = await read(await somebody(), `recommendations${query}`);
    assert.deepEqual(Object.keys(data), ['tools', 'docs']);
    assert.deepEqual([data.tools.length, data.docs.length], [3, 2]);
    assert.equal(data.docs[0].title, title);
    for (const each of [...data.tools, ...data.docs])
      assert.deepEqual(Object.keys(each), ['id', 'title', 'description', 'url']);
  });

test('other actions lead somewhere', async () => {
  const who = await somebody();
  assert.deepEqual(await good(who, 'view_docs'), { redirect: '/docs' });
  assert.deepEqual(Object.keys(await good(who, 'invite_member')), ['message']);
});

test('an action is one of four, and nothing beside it', async () => {
  const who = await somebody();
  for (const [body, field] of [[{}, 'action'], [{ action: 'drop_tables' }, 'action'],
    [{ action: 1 }, 'action'], [{ action: 'create_project', title: 'x' }, 'title']]) {
    const { error } = expect(await perform(who, body), 400).json;
    assert.deepEqual([error.type, error.message], ['validation_error', 'Invalid JSON body']);
    assert.deepEqual(Object.keys(error.details.details.fieldErrors), [field]);
  }
  for (const body of ['', '{', '[]', 'null']) {
    const { error } = expect(await perform(who, body), 400).json;
    assert.deepEqual([error.type, error.message], ['validation_error', 'Invalid JSON body']);
  }
  assert.deepEqual(await read(who, 'projects'), []);
});

test('an action needs our origin, no token, and then a credential', async () => {
  const who = await somebody();
  expect(await perform(who, {}, {}), 403, refusal('forbidden', 'Missing Origin/Referer header'));
  expect(await perform(who, {}, { Origin: 'https://evil.example' }), 403,
    refusal('forbidden', 'Origin not allowed'));
  expect(await perform(undefined, {}), 401, refusal('auth_error', 'Unauthorized'));
  expect(await perform(who, { action: 'create_task' }, { Referer: `${service.url}/dashboard` }), 200);
});

test('an action repeated under its Idempotency-Key happens once', async () => {
  const who = await somebody();
  const headers = { Origin: service.url, 'Idempotency-Key': randomUUID() };
  const [first, second] = [await perform(who, { action: 'create_project' }, headers),
    await perform(who, { action: 'create_project' }, headers)];
  assert.equal(first.text, second.text);
  assert.equal((await read(who, 'projects')).length, 1);
});

test('who has a thousand projects gets no more', async () => {
  const who = await somebody();
  service.sql(`INSERT INTO hub_projects (id, user_id, title, created_at, updated_at)
    SELECT '${who.id}' || n, '${who.id}', 'x', now(), now() FROM generate_series(1, 999) n`);
  await good(who, 'create_project');
  expect(await perform(who, { action: 'create_project' }), 422,
    refusal('validation_error', 'Es gibt zu viele Projekte'));
});

for (const name of ['activity', 'projects', 'notifications', 'stats', 'recommendations'])
  test(`${name} is for users and for GET`, async () => {
    expect(await service.call('GET', at(name)), 401, refusal('auth_error', 'Unauthorized'));
    const answer = expect(await service.call('POST', at(name), { ...hubHeaders(service), body: {} }), 405,
      refusal('method_not_allowed', 'Method Not Allowed'));
    assert.match(answer.headers.allow, /GET/);
  });

test('all of them share the 30 calls a minute of the hub', async () => {
  const { token } = await somebody(limited);
  const names = ['activity', 'projects', 'notifications', 'stats', 'quick-actions', 'recommendations'];
  for (let i = 0; i < 30; ++i)
    expect(await limited.call('GET', at(names[i % names.length]), { token }), 200);
  for (const name of names) {
    const answer = expect(await limited.call('GET', at(name), { token }), 429);
    assert.equal(answer.json.error, 'Rate limit exceeded');
    assert.equal(answer.headers['retry-after'], String(answer.json.retryAfter));
  }
  expect(await limited.call('POST', ACTION, { token, body: {}, headers: { Origin: limited.url } }), 429);
});

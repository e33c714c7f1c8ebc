/// Teams (platform.md §3): who is in one, inviting, accepting, joining, leaving.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';
import { linkIn, startPost } from './resend.mjs';

const PUBLIC = 'https://dashboard.example.com';
const MEMBERS = '/api/team/members', INVITE = '/api/team/invite';
const ACCEPT = '/api/team/accept-invite', JOIN = '/api/team/join';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let post, service;
before(async () => {
  post = await startPost({ BINNACLE_HTTP_PUBLIC_URL: PUBLIC, BINNACLE_LIMITS_PLATFORM_DEFAULT: '100000/60s',
    BINNACLE_SESSION_MAX_IN_FLIGHT: '100' });
  ({ service } = post);
});
after(() => post?.stop());

let people = 0;
/// Somebody new; {token, id, email}.
async function person(name = 'person') {
  const email = `${name}${(people += 1)}@example.com`;
  const token = await service.token(email);
  return { token, id: subjectOf(token), email };
}
const invite = (owner, email, more = {}) =>
  service.call('POST', INVITE, { token: owner.token, body: { email, ...more } });
const tokenOf = (answer) => new URL(answer.json.invite.invite_url).searchParams.get('token');
async function invited(owner, email, more) {
  const answer = expect(await invite(owner, email, more), 200);
  return { ...answer.json.invite, token: tokenOf(answer) };
}
const join = (who, token) => service.call('POST', JOIN, { token: who.token, body: { token } });
const members = async (who) => expect(await service.call('GET', MEMBERS, { token: who.token }), 200).json;
/// An owner and somebody who has joined.
async function team() {
  const owner = await person('owner'), member = await person('member');
  const { token } = await invited(owner, `new-${member.email}`);
  service.sql(`UPDATE team_invites SET email = '${member.email}' WHERE account_owner_id = '${owner.id}'`);
  expect(await join(member, token), 200);
  return { owner, member };
}
const value = (sql) => service.sql(sql)[0]?.[0];

// -- access ------------------------------------------------------------------------------------------

test('members and invitations check the session before the method, the others the method first', async () => {
  for (const path of [MEMBERS, INVITE]) {
    expect(await service.call('PUT', path, { body: {} }), 401, { error: 'Unauthorized' });
    const { token } = await person();
    const wrong = expect(await service.call('PUT', path, { token, body: {} }), 405, { error: 'Method not allowed' });
    assert.match(wrong.headers.allow, /DELETE/);
  }
  const wrong = expect(await service.call('GET', JOIN), 405, { error: 'Method not allowed' });
  assert.match(wrong.headers.allow, /POST/);
  expect(await service.call('POST', ACCEPT, { body: {} }), 405);
  expect(await service.call('POST', JOIN, { body: { token: 'x' } }), 401, { error: 'Unauthorized' });
});

test('suspended and deleted users have no team', async () => {
  const who = await person();
  for (const status of ['suspended', 'deleted']) {
    service.changeUser(who.id, `status = '${status}'`);
    await until('it is known', async () => (await service.call('GET', MEMBERS, { token: who.token })).status === 403);
    expect(await invite(who, 'x@example.com'), 403);
    expect(await join(who, 'x'), 403);
  }
});

// -- members -----------------------------------------------------------------------------------------

test('an owner without a team sees only themselves', async () => {
  const owner = await person('alone');
  const seen = await members(owner);
  assert.deepEqual({ ...seen, account_owner: { ...seen.account_owner, created_at: '' } }, {
    account_owner: { id: owner.id, email: owner.email, name: seen.account_owner.name, created_at: '',
      stripe_customer_id: null },
    team_members: [], is_owner: true,
  });
  assert.match(seen.account_owner.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('owner and member see the same team', async () => {
  const { owner, member } = await team();
  const seen = await members(owner);
  assert.equal(seen.is_owner, true);
  assert.deepEqual(seen.team_members.map((m) => Object.keys(m)), [['id', 'email', 'name', 'created_at',
    'last_login_at', 'hopsworks_username', 'status']]);
  assert.deepEqual([seen.team_members[0].id, seen.team_members[0].status], [member.id, 'active']);
  assert.deepEqual(await members(member), { ...seen, is_owner: false });
});

test('an owner removes a member, who is then an owner again', async () => {
  const { owner, member } = await team();
  const remove = (who, id) => service.call('DELETE', `${MEMBERS}${id === undefined ? '' : `?memberId=${id}`}`, { token: who.token });
  assert.equal(expect(await service.call('GET', '/api/billing', { token: member.token }), 200).json.isTeamMember, true);

  expect(await remove(member, owner.id), 403, { error: 'Only account owners can remove team members' });
  expect(await remove(owner), 400, { error: 'Member ID is required', details: 'memberId' });
  expect(await remove(owner, 'usr_nobody'), 404, { error: 'Team member not found' });
  expect(await remove(owner, owner.id), 404, { error: 'Team member not found' });
  const stranger = await person();
  expect(await remove(stranger, member.id), 404, { error: 'Team member not found' });
  expect(await remove(owner, member.id), 200, { message: 'Team member removed successfully' });

  // At once, without waiting for a cache.
  assert.equal(expect(await service.call('GET', '/api/billing', { token: member.token }), 200).json.isTeamMember, undefined);
  assert.deepEqual((await members(owner)).team_members, []);
  assert.equal((await members(member)).is_owner, true);
});

test('changing a member is not implemented', async () => {
  const { token } = await person();
  expect(await service.call('PATCH', MEMBERS, { token, body: { memberId: 'x' } }), 501);
});

// -- inviting ----------------------------------------------------------------------------------------

test('the link begins with AUTH0_BASE_URL, from where writes are taken, and cookies are as secure as that', async () => {
  const base = 'https://dashboard.acme.example';
  const other = await startService({ env: { AUTH0_BASE_URL: base } });
  try {
    const token = await other.token('host@example.com');
    const { invite: made } = expect(await other.call('POST', INVITE,
      { token, headers: { Origin: base }, body: { email: 'guest@example.com' } }), 200).json;
    assert.ok(made.invite_url.startsWith(`${base}/team/accept-invite?token=`), made.invite_url);
    const gone = await other.call('GET', '/api/auth/logout');
    assert.match(String(gone.headers['set-cookie']), /; Secure/);
  } finally {
    await other.stop();
  }
});

test('an invitation is answered, mailed and listed', async () => {
  const owner = await person('host');
  service.changeUser(owner.id, "name = 'Tom <b>& Co</b>'");
  const before = Date.now();
  const answer = expect(await invite(owner, '  New.Member@Example.COM '), 200);
  const { invite: made } = answer.json;

  assert.equal(answer.json.message, 'Invite sent successfully');
  assert.deepEqual(Object.keys(made), ['id', 'email', 'expires_at', 'invite_url', 'project_role', 'auto_assign_projects']);
  assert.match(made.id, UUID);
  assert.deepEqual([made.email, made.project_role, made.auto_assign_projects], ['new.member@example.com', 'Data scientist', true]);
  assert.match(made.invite_url, new RegExp(`^${PUBLIC}/team/accept-invite\\?token=[0-9a-f]{64}$`));
  assert.ok(Math.abs(Date.parse(made.expires_at) - before - 7 * 24 * 3_600_000) < 60_000);

  const mail = await post.mailTo('new.member@example.com');
  assert.equal(linkIn(mail).href, made.invite_url);
  assert.ok(mail.html.includes('Tom &lt;b&gt;&amp; Co&lt;/b&gt; has invited you'), mail.html);

  const { invites } = expect(await service.call('GET', INVITE, { token: owner.token }), 200).json;
  assert.deepEqual(invites.map((i) => i.id), [made.id]);
  assert.deepEqual(Object.keys(invites[0]), ['id', 'email', 'project_role', 'auto_assign_projects', 'expires_at', 'created_at']);
});

test('a token is stored nowhere', async () => {
  const owner = await person();
  const { token } = await invited(owner, 'secret@example.com');
  await post.mailTo('secret@example.com');
  await until('the mail is over', () => value("SELECT state FROM mail_outbox WHERE recipient = 'secret@example.com'") === 'sent');
  for (const table of ['team_invites', 'mail_outbox', 'audit_log', 'rate_windows'])
    assert.equal(value(`SELECT count(*) FROM ${table} t WHERE t::text LIKE '%${token}%'`), '0', table);
  assert.ok(!service.output.includes(token));
});

test('an invitation needs a good address and a known role', async () => {
  const owner = await person();
  expect(await invite(owner, ''), 400, { error: 'Email is required', details: 'email' });
  expect(await service.call('POST', INVITE, { token: owner.token, body: {} }), 400, { error: 'Email is required', details: 'email' });
  for (const email of ['x', 'x@', '@example.com', 'a b@example.com', 'a@b@example.com', 'a@example', 'a@exa_mple.com',
    'a\r\nBcc: b@example.com', 'ä@example.com', `${'x'.repeat(65)}@example.com`])
    expect(await invite(owner, email), 400, { error: 'Invalid email address', details: 'email' });
  expect(await invite(owner, 'x@example.com', { projectRole: 'data owner' }), 400,
    { error: 'Invalid project role. Must be one of: Data owner, Data scientist, Observer', details: 'projectRole' });
  expect(await invite(owner, 'x@example.com', { autoAssignProjects: 'yes' }), 400);
  expect(await service.call('POST', INVITE, { token: owner.token, body: '[' }), 400);
});

test('nobody is invited who has an account, or has been invited', async () => {
  const owner = await person(), other = await person();
  expect(await invite(owner, other.email.toUpperCase()), 400,
    { error: 'User already exists with this email', details: 'email' });
  await invited(owner, 'twice@example.com', { projectRole: 'Observer' });
  expect(await invite(owner, 'Twice@example.com'), 400, { error: 'Invite already sent to this email', details: 'email' });
  await invited(other, 'twice@example.com'); // by somebody else

  service.sql(`UPDATE team_invites SET expires_at = now() WHERE account_owner_id = '${owner.id}'`);
  await invited(owner, 'twice@example.com'); // an expired one is not in the way
});

test('members invite nobody and see no invitations', async () => {
  const { member } = await team();
  expect(await invite(member, 'x@example.com'), 403, { error: 'Only account owners can invite team members' });
  expect(await service.call('GET', INVITE, { token: member.token }), 403);
  expect(await service.call('DELETE', `${INVITE}?inviteId=x`, { token: member.token }), 403);
});

test('an owner sends five invitations an hour, wherever from', async () => {
  const owner = await person('eager');
  for (let left = 4; left >= 0; left -= 1) {
    const answer = expect(await invite(owner, `friend${left}@example.com`), 200);
    assert.deepEqual([answer.headers['x-ratelimit-limit'], answer.headers['x-ratelimit-remaining']], ['5', String(left)]);
  }
  const over = expect(await service.call('POST', INVITE, { token: owner.token, from: '127.0.0.9', body: { email: 'sixth@example.com' } }), 429);
  assert.equal(over.json.error, 'Too many requests, please try again later');
  assert.equal(String(over.json.retryAfter), over.headers['retry-after']);
  assert.ok(over.json.retryAfter > 3500 && over.json.retryAfter <= 3600);
  // Looking, taking back and other owners are not concerned.
  const { invites } = expect(await service.call('GET', INVITE, { token: owner.token }), 200).json;
  assert.equal(invites.length, 5);
  await invited(await person(), 'sixth@example.com');
  assert.equal(post.mailsTo('sixth@example.com').length <= 1, true);
});

test('many invitations at once are five', async () => {
  const owner = await person('hasty');
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => invite(owner, `at-once${i}@example.com`)));
  assert.deepEqual(answers.map((a) => a.status).sort(), [...Array(5).fill(200), ...Array(7).fill(429)]);
});

test('an invitation is taken back, by its owner only', async () => {
  const owner = await person(), other = await person();
  const { id, token } = await invited(owner, 'unwanted@example.com');
  const remove = (who, what) => service.call('DELETE', `${INVITE}${what}`, { token: who.token });
  expect(await remove(owner, ''), 400, { error: 'Invite ID is required', details: 'inviteId' });
  for (const [who, what] of [[other, id], [owner, 'nothing']])
    expect(await remove(who, `?inviteId=${what}`), 200, { message: 'Invite deleted successfully' });
  expect(await service.call('GET', `${ACCEPT}?token=${token}`), 200);
  expect(await remove(owner, `?inviteId=${id}`), 200, { message: 'Invite deleted successfully' });
  expect(await service.call('GET', `${ACCEPT}?token=${token}`), 404);
});

// -- accepting ---------------------------------------------------------------------------------------

test('who has the token sees what it is for, and where to log in', async () => {
  const owner = await person('inviter');
  const { token, expires_at: expiresAt } = await invited(owner, 'a+b@example.com');
  const show = async () => expect(await service.call('GET', `${ACCEPT}?token=${token}`), 200).json;
  const query = `returnTo=%2Fteam%2Fjoining%3Ftoken%3D${token}&login_hint=a%2Bb%40example.com`;
  service.changeUser(owner.id, "name = ''");
  assert.deepEqual(await show(), { email: 'a+b@example.com', invitedBy: owner.email, expiresAt, loginUrl: `/api/auth/signup?${query}` });
  service.changeUser(owner.id, "name = 'Ann'");
  await service.token('a+b@example.com');
  assert.deepEqual(await show(), { email: 'a+b@example.com', invitedBy: 'Ann', expiresAt, loginUrl: `/api/auth/login?${query}` });
});

test('a token that is none, unknown or old', async () => {
  for (const query of ['', '?token=', `?token=${'x'.repeat(300)}`])
    expect(await service.call('GET', `${ACCEPT}${query}`), 400, { error: 'Invalid invite token', details: 'token' });
  expect(await service.call('GET', `${ACCEPT}?token=unknown`), 404, { error: 'Invite not found or already used' });
  const owner = await person(), late = await person();
  const { token, id } = await invited(owner, 'late@example.com');
  service.sql(`UPDATE team_invites SET expires_at = now(), email = '${late.email}' WHERE id = '${id}'`);
  expect(await service.call('GET', `${ACCEPT}?token=${token}`), 410, { error: 'Invite has expired' });
  expect(await join(late, token), 410, { error: 'Invite has expired' });
  expect(await join(late, ''), 400, { error: 'Invalid invite token', details: 'token' });
  expect(await join(late, 'unknown'), 404, { error: 'Invite not found or already used' });
});

// -- joining -----------------------------------------------------------------------------------------

/// An owner and an invitation of somebody who has an account by now.
async function open() {
  const owner = await person('chief');
  const email = `guest${(people += 1)}@example.com`;
  const { token } = await invited(owner, email);
  const guest = { token: await service.token(email), email };
  return { owner, token, guest: { ...guest, id: subjectOf(guest.token) } };
}

test('joining is for the address that was invited, and for once', async () => {
  const { owner, token, guest } = await open();
  const other = await person();
  expect(await join(other, token), 403, { error: 'This invite is for a different email address' });
  expect(await join(guest, token), 200, {
    message: 'Successfully joined team', account_owner_id: owner.id, cluster_assigned: false, projects_assigned: [],
    warning: 'The account owner has no cluster yet; one will be assigned later',
  });
  expect(await join(guest, token), 404, { error: 'Invite not found or already used' });
  expect(await service.call('GET', `${ACCEPT}?token=${token}`), 404);
  const billing = expect(await service.call('GET', '/api/billing', { token: guest.token }), 200).json;
  assert.deepEqual([billing.isTeamMember, billing.accountOwner.email], [true, owner.email]);
});

test('a member comes to the owner\'s cluster', async () => {
  const { owner, token, guest } = await open();
  const cluster = `clu_${people}`;
  service.sql(`INSERT INTO clusters (id, name, api_url, created_at, updated_at) VALUES ('${cluster}', '${cluster}', 'https://h.example', now(), now());
    INSERT INTO user_hopsworks_assignments (user_id, cluster_id, assigned_at) VALUES ('${owner.id}', '${cluster}', now())`);
  const joined = expect(await join(guest, token), 200).json;
  assert.equal(joined.cluster_assigned, true);
  assert.equal(value(`SELECT cluster_id FROM user_hopsworks_assignments WHERE user_id = '${guest.id}'`), cluster);
});

test('nobody is in two teams, and no team inside another', async () => {
  const { member, owner } = await team();
  const third = await open();
  service.sql(`UPDATE team_invites SET email = '${member.email}' WHERE account_owner_id = '${third.owner.id}'`);
  expect(await join(member, third.token), 400, { error: 'You are already part of a team' });
  service.sql(`UPDATE team_invites SET email = '${owner.email}' WHERE account_owner_id = '${third.owner.id}'`);
  expect(await join(owner, third.token), 400, { error: 'Account owners with team members cannot join a team' });
});

test('whoever joins a team has no invitations of their own any more', async () => {
  const { token, guest } = await open();
  const { token: second } = await invited(guest, 'nested@example.com');
  expect(await join(guest, token), 200);
  expect(await service.call('GET', `${ACCEPT}?token=${second}`), 404);
});

test('two who invite each other do not end up in a ring', async () => {
  const a = await open();
  const { token: back } = await invited(a.guest, 'back@example.com');
  service.sql(`UPDATE team_invites SET email = '${a.owner.email}' WHERE account_owner_id = '${a.guest.id}'`);
  const answers = await Promise.all([join(a.guest, a.token), join(a.owner, back)]);
  assert.equal(answers.filter((x) => x.status === 200).length, 1, answers.map((x) => x.text).join());
  assert.equal(value(`SELECT count(*) FROM users WHERE id IN ('${a.owner.id}', '${a.guest.id}') AND account_owner_id IS NOT NULL`), '1');
});

test('ten who join with one token at once give one membership', async () => {
  const { owner, token, guest } = await open();
  const others = await Promise.all(Array.from({ length: 4 }, () => person()));
  const answers = await Promise.all([...Array(6).fill(guest), ...others].map((who) => join(who, token)));
  assert.deepEqual(answers.map((a) => a.status).filter((s) => s === 200), [200]);
  for (const { status } of answers) assert.ok([200, 403, 404].includes(status), String(status));
  assert.deepEqual((await members(owner)).team_members.map((m) => m.id), [guest.id]);
});

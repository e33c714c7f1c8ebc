/// `binnacle person export` and `erase`: everything of one person, on every surface, and nothing else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PASSWORD, expect, startService, subjectOf, until } from './harness.mjs';

const EMAIL = 'joaquina.abreu@example.com', NAME = 'Joaquina de Abreu', USERNAME = 'joaquina_abreu';
const CPF = '52998224725', PHONE = '5533988776655', STREET = 'Rua das Acácias Amarelas', BIRTH = '1961-04-03';
const TRACES = [EMAIL, NAME, 'Joaquina', USERNAME, CPF, PHONE, STREET, 'Acácias', BIRTH, '127.0.7.1', 'browser-of-hers'];
const CSRF = 'csrf-1';
const proof = { cookie: `csrf_token=${CSRF}` };
let service, id, token, otherToken, other;

/// Everything in the database, as text.
function dump() {
  const ran = spawnSync('pg_dump', ['-h', join(service.data, 'postgres/run'), '-U', 'binnacle', '--data-only', 'binnacle'], {
    env: { PATH: process.env.PATH,
      PGPASSWORD: readFileSync(join(service.data, 'secrets/postgres-password'), 'utf8').trim() },
    encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 26,
  });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}
const standing = () => { const text = dump().toLowerCase(); return TRACES.filter((trace) => text.includes(trace.toLowerCase())); };
const number = (from) => Number(service.sql(`SELECT count(*) FROM ${from}`)[0][0]);

before(async () => {
  service = await startService();
  const admin = await service.adminToken();
  id = await service.user(USERNAME, { email: EMAIL });
  const from = '127.0.7.1';
  const headers = { 'X-CSRF-Token': CSRF, 'User-Agent': 'browser-of-hers', Origin: service.url };
  const login = expect(await service.call('POST', '/api/auth/login',
    { body: { username: USERNAME, password: PASSWORD }, from, headers: { 'User-Agent': 'browser-of-hers' } }), 200);
  assert.ok(login.cookies.session);
  token = await service.token(EMAIL);
  const address = { street: STREET, number: '7', city: 'Caratinga', state: 'MG', zipCode: '35300-000' };
  const mine = { token, from, headers, ...proof };
  const registered = expect(await service.call('POST', '/api/assinante/register', { ...mine,
    headers: { ...headers, 'Idempotency-Key': 'registration' },
    body: { name: NAME, email: EMAIL, phone: PHONE, cpf: CPF, birthDate: BIRTH, address } }), 201).json;
  assert.equal(registered.user.id, id);
  service.sql(`
    INSERT INTO assinante_subscriptions (id, user_id, plan_name, status, price, start_date, renewal_date, payment_method,
      payment_method_last4, shipping_address, created_at, updated_at)
    VALUES ('sub_1', '${id}', 'Plano', 'active', 89.90, '2025-10-01', '2025-11-01', 'pix', NULL, '${JSON.stringify(address)}', now(), now());
    INSERT INTO assinante_orders (id, subscription_id, user_id, order_number, status, total, shipping_address, created_at, updated_at)
    VALUES ('ord_1', 'sub_1', '${id}', 'SV-1', 'delivered', 89.90, '${JSON.stringify(address)}', now(), now());
    INSERT INTO assinante_invoices (id, subscription_id, user_id, invoice_number, status, amount, due_date, payment_method, created_at, updated_at)
    VALUES ('inv_1', 'sub_1', '${id}', 'NF-1', 'paid', 89.90, '2025-10-01', 'pix', now(), now());
    INSERT INTO stripe_customers (user_id, customer_id, created_at) VALUES ('${id}', 'cus_7Gh2Kq', now());
    INSERT INTO stripe_events (id, type, object_key, livemode, created_at, payload, source, state, next_attempt_at, received_at, applied_at)
    VALUES ('evt_1', 'customer.updated', 'cus_7Gh2Kq', false, now(), '{"object":{"id":"cus_7Gh2Kq","name":"${NAME}"}}', 'webhook', 'applied', now(), now(), now()),
      ('evt_2', 'customer.updated', 'cus_other', false, now(), '{"object":{"id":"cus_other","name":"Other"}}', 'webhook', 'applied', now(), now(), now());
    INSERT INTO newsletter_subscribers (email, first_name, source, consented_at, subscribed_at)
    VALUES ('${EMAIL}', 'Joaquina', 'website', now(), now());
    INSERT INTO mail_outbox (id, cause, kind, recipient, subject, state, next_attempt_at, queued_at, expires_at, finished_at)
    VALUES ('m1', 'c1', 'newsletter', '${EMAIL}', 'Olá', 'sent', now(), now(), now(), now()),
      ('m2', 'c2', 'invite', 'somebody@example.com', '${NAME} invites you', 'sent', now(), now(), now(), now());
    INSERT INTO hub_notifications (user_id, source, type, title, message, created_at) VALUES ('${id}', 's', 't', 'For ${NAME}', 'm', now());
    INSERT INTO identities (issuer, subject, user_id, created_at) VALUES ('https://issuer.example', 'subject-1', '${id}', now());
    INSERT INTO stripe_events (id, type, object_key, livemode, created_at, payload, source, state, next_attempt_at, received_at, awaited_email, last_error)
    VALUES ('evt_3', 'checkout.session.completed', 'cs_1', false, now(), '{"object":{"email":"${EMAIL.toUpperCase()}","amount":12}}', 'webhook', 'unresolved',
      now(), now(), '${EMAIL}', 'nobody is ${EMAIL}');
    INSERT INTO newsletter_requests (token_digest, email, source, created_at, expires_at)
    VALUES (sha256('x'), '${EMAIL}', 'website', now(), now());
    INSERT INTO team_invites (account_owner_id, email, token_digest, project_role, auto_assign_projects, expires_at, created_at)
    VALUES ('${subjectOf(admin)}', '${EMAIL}', sha256('y'), 'Observer', false, now(), now());
    INSERT INTO health_check_failures (user_id, email, check_type, error_message, created_at)
    VALUES ('${id}', '${EMAIL}', 'hopsworks', 'no account of ${NAME}', now());
    INSERT INTO hub_projects (id, user_id, title, created_at, updated_at) VALUES ('hp', '${id}', '${NAME}', now(), now());
    INSERT INTO hub_tasks (id, user_id, project_id, title, created_at) VALUES ('ht', '${id}', 'hp', 'call ${NAME}', now());
    INSERT INTO developer_projects (id, owner_id, name, created_at, updated_at)
    VALUES ('01HZX3J5K7M9N1P3R5T7V9WXYZ', '${id}', 'Shop of ${NAME}', now(), now()),
      ('01HZX3J5K7M9N1P3R5T7V9WXY0', '${subjectOf(admin)}', 'Another shop', now(), now());
    INSERT INTO project_users (id, project_id, email, name, created_at)
    VALUES ('01HZX3J5K7M9N1P3R5T7V9WXY1', '01HZX3J5K7M9N1P3R5T7V9WXY0', '${EMAIL}', '${NAME}', now());
    INSERT INTO audit_log (at, actor, action, target, detail, address)
    VALUES (now(), '${subjectOf(admin)}', 'USER_ASSIGNED', '${EMAIL}', '{"email":"${EMAIL}","username":"${USERNAME}"}', '10.9.9.9');
    UPDATE users SET image = '/r2/${id}/one.webp', registration_ip = '${from}', metadata = '{"full_name":"${NAME}"}' WHERE id = '${id}'`);
  const changed = { ...address, number: '8' };
  expect(await service.call('PUT', '/api/assinante/subscription', { ...mine, body: { shippingAddress: changed } }), 200);

  otherToken = await service.token('other@example.com');
  other = subjectOf(otherToken);
  expect(await service.call('POST', '/api/assinante/register', { token: otherToken, headers: { 'X-CSRF-Token': CSRF }, ...proof,
    body: { name: 'Somebody Else', email: 'other@example.com', phone: '33999898026', cpf: '12345678909', birthDate: '1990-05-15', address: { ...address, street: 'Rua B' } } }), 201);
});
after(() => service?.stop());

test('an export has the rows of every surface, without secrets and without anybody else\'s', async () => {
  const text = await service.good(['person', 'export', '--email', EMAIL.toUpperCase()]);
  const rows = JSON.parse(text);
  for (const table of ['users', 'subscribers', 'identities', 'sessions', 'assinante_subscriptions', 'assinante_orders', 'assinante_invoices',
    'assinante_history', 'consent_log', 'newsletter_subscribers', 'newsletter_requests', 'mail_outbox', 'hub_notifications', 'hub_projects',
    'hub_tasks', 'team_invites', 'developer_projects', 'project_users', 'audit_log', 'stripe_customers', 'stripe_events'])
    assert.ok(rows[table]?.length >= 1, table);
  assert.equal(rows.users[0].email, EMAIL);
  assert.equal(rows.assinante_invoices[0].amount, 89.9);
  assert.equal(rows.assinante_history[0].old_value.street, STREET);
  assert.deepEqual(rows.stripe_events.map((e) => e.id), ['evt_1']);
  assert.ok(!text.includes('argon2') && !text.includes('digest') && !text.includes('password'));
  assert.ok(!text.includes('other@example.com') && !text.includes(other));
  assert.equal(number(`audit_log WHERE action = 'PERSON_EXPORTED' AND target = '${id}'`), 1);
});

test('an erasure leaves no trace of who it was in a dump, and the books as they were', async () => {
  assert.deepEqual(standing(), TRACES);
  expect(await service.call('GET', '/api/assinante/subscription', { token }), 200);
  const before = dump();
  assert.ok(before.includes('other@example.com'));

  const said = await service.good(['person', 'erase', '--email', EMAIL]);

  assert.ok(said.includes(id));
  assert.deepEqual(standing(), []);
  assert.deepEqual(service.sql('SELECT amount, status FROM assinante_invoices'), [['89.90', 'paid']]);
  assert.deepEqual(service.sql('SELECT total, order_number FROM assinante_orders'), [['89.90', 'SV-1']]);
  assert.deepEqual(service.sql('SELECT status FROM assinante_subscriptions'), [['cancelled']]);
  assert.equal(number(`consent_log WHERE user_id = '${id}'`), 2);
  assert.deepEqual(service.sql(`SELECT change, actor FROM assinante_history WHERE user_id = '${id}'`), [['ADDRESS_UPDATE', id]]);
  assert.deepEqual(service.sql(`SELECT status, name FROM users WHERE id = '${id}'`), [['deleted', '']]);
  assert.deepEqual(service.sql('SELECT key FROM unwanted_objects'), [[`${id}/one.webp`]]);
  assert.equal(number(`audit_log WHERE action = 'PERSON_ERASED' AND target = '${id}'`), 1);
  assert.equal(number(`stripe_events WHERE id = 'evt_2' AND payload IS NOT NULL`), 1);
  assert.deepEqual(service.sql(`SELECT payload::json->'object'->>'amount' FROM stripe_events WHERE id = 'evt_3'`), [['12']]); // still to be applied
  assert.equal(number(`developer_projects WHERE name = 'Another shop' AND deleted_at IS NULL AND user_count = 0`), 1);
  await until('the running service knows', async () =>
    (await service.call('GET', '/api/assinante/subscription', { token })).status === 401);
});

test('others are as they were', async () => {
  const { user } = expect(await service.call('GET', '/api/assinante/subscription', { token: otherToken }), 200).json;
  assert.equal(user.email, 'other@example.com');
});

test('a second erasure finds nothing to do', async () => {
  const entries = number('audit_log');
  assert.match(await service.good(['person', 'erase', '--email', EMAIL]), /No user has this address/);
  assert.equal(number('audit_log'), entries);
  assert.deepEqual(standing(), []);
});

test('the same address may come again, as somebody new', async () => {
  const fresh = subjectOf(await service.token(EMAIL));
  assert.notEqual(fresh, id);
});

test('the log stays append-only for everybody else', () => {
  assert.throws(() => service.sql(`UPDATE audit_log SET action = 'NOTHING'`), /append-only/);
  assert.throws(() => service.sql('DELETE FROM audit_log'), /append-only/);
});

test('a table that refers to users is either erased from, or known to tell nothing of who it was', () => {
  const source = readFileSync(new URL('../../persistence/persons.cpp', import.meta.url), 'utf8');
  // Numbers, times and ids only, or names of things that are billed.
  const KEPT = new Set(['allowance_uses', 'credit_accounts', 'credit_entries', 'credit_lots', 'former_stripe_customers', 'hopsworks_outbox',
    'meter_remainders', 'meter_reports', 'referral_events', 'referral_profiles', 'stripe_customers', 'subscriptions', 'usage_daily',
    'usage_hourly', 'usage_monthly', 'usage_project_daily', 'user_projects', 'assinante_invoices']);
  const tables = service.sql(`
    SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
      AND (a.attname IN ('user_id', 'email', 'recipient') OR EXISTS (SELECT FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid = 'users'::regclass AND a.attnum = ANY (k.conkey)))`).flat();
  assert.ok(tables.length > 20);
  const touched = new Set([...source.matchAll(/(?:UPDATE|DELETE FROM)\s+(\w+)/g)].map(([, table]) => table));
  assert.deepEqual(tables.filter((table) => !touched.has(table) && !KEPT.has(table)), []);
});

test('an address that is none is a wrong call', async () => {
  for (const verb of ['export', 'erase'])
    assert.equal((await service.cli(['person', verb, '--email', 'nobody'])).code, 2);
  assert.equal((await service.cli(['person'])).code, 2);
  assert.deepEqual(JSON.parse(await service.good(['person', 'export', '--email', 'nobody@example.com'])), {});
});

/// The subscriber dashboard (assinante.md) as its front end sees it, with tokens of Firebase.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { digits, expect, jwt, makeDirectory, serveHttp, startService, until } from './harness.mjs';
import { startSecond } from './stripe.mjs';

const SUBSCRIPTION = '/api/assinante/subscription', ORDERS = '/api/assinante/orders';
const INVOICES = '/api/assinante/invoices', REGISTER = '/api/assinante/register';
const ISSUER = 'https://securetoken.google.com/svlentes', PROJECT = 'svlentes';
const HOST = 'assinante.example.com', SITE = 'https://svlentes.example';
const CSRF = 'a'.repeat(64);
const ADDRESS = { street: 'Rua das Flores', number: '123', complement: 'Apto 45', neighborhood: 'Centro',
  city: 'Caratinga', state: 'MG', zipCode: '35300-000' };
let keys, service, second, signer;

before(async () => {
  const text = execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-noenc', '-days', '2',
    '-subj', '/CN=securetoken', '-keyout', '-', '-out', '-'],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 20_000 });
  signer = createPrivateKey(text);
  const certificate = /-----BEGIN CERTIFICATE-----[^]+-----END CERTIFICATE-----\n/.exec(text)[0];
  keys = await serveHttp((request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'max-age=3600' });
    response.end(JSON.stringify({ one: certificate }));
  });
  const directory = makeDirectory();
  const file = join(directory, 'binnacle.toml');
  writeFileSync(file, `[[identity.issuers]]
issuer = "${ISSUER}"
audience = "${PROJECT}"
keys_url = "${keys.url}"
require_auth_time = true
surfaces = ["assinante"]
`);
  service = await startService({ directory, env: { BINNACLE_CONFIG: file,
    BINNACLE_HTTP_PUBLIC_URL: SITE, BINNACLE_SURFACES_ASSINANTE_HOST: HOST } });
});
after(async () => {
  await service?.stop();
  await second?.stop();
  await keys?.close();
});

// -- callers ------------------------------------------------------------------------------------------

const seconds = () => Math.floor(Date.now() / 1000);
const tokenOf = (sub, more = {}) => jwt({ alg: 'RS256', typ: 'JWT', kid: 'one' },
  { iss: ISSUER, aud: PROJECT, sub, iat: seconds(), exp: seconds() + 600, auth_time: seconds() - 5, ...more },
  (text) => sign('RSA-SHA256', Buffer.from(text), signer));
const proof = { headers: { 'X-CSRF-Token': CSRF }, cookie: `csrf_token=${CSRF}` };
const error = (code, message, more = {}) => ({ error: code, message, ...more });
const invalid = (details) => error('VALIDATION_ERROR', 'Dados inválidos',
  { details: Object.entries(details).map(([field, message]) => ({ field, message })) });

const application = (name, more = {}) => ({ name: 'João Silva', email: `${name}@example.com`, phone: '5533999898026',
  cpf: '123.456.789-09', birthDate: '1990-05-15', address: ADDRESS, ...more });
const register = (token, body, options = {}) => service.call('POST', REGISTER, { token, body, ...proof, ...options });
let count = 0;
/// Somebody registered, from whose address nobody else calls: {token, id, call}.
async function subscriber(name, more = {}) {
  const token = tokenOf(`uid-${name}`, { email: `${name}@example.com`, email_verified: true });
  const from = `127.0.3.${(count += 1)}`;
  const { id } = expect(await register(token, application(name, more), { from }), 201).json.user;
  const call = (method, path, options = {}) => service.call(method, path, { token, from, ...options });
  return { token, from, id, name, get: (path) => call('GET', path), put: (body) => call('PUT', SUBSCRIPTION, { body, ...proof }) };
}

const quoted = (value) => (value === null ? 'NULL' : `'${String(value).replaceAll("'", "''")}'`);
/// Behind the service's back, and told to it as any writer must.
function insert(who, table, row) {
  const times = { created_at: '2025-01-15T10:30:00Z', updated_at: '2025-10-23T14:22:00Z' };
  const all = { user_id: who.id, ...times, ...row };
  service.sql(`INSERT INTO ${table} (${Object.keys(all).join()}) VALUES (${Object.values(all).map(quoted).join()})`);
  service.announce(`subscriber:${who.id}`);
}
const subscribe = (who, id, more = {}) => insert(who, 'assinante_subscriptions', {
  id, plan_name: 'Plano Mensal Premium', status: 'active', price: '89.90', start_date: '2025-10-01',
  renewal_date: '2025-11-01', payment_method: 'credit_card', payment_method_last4: '4242',
  shipping_address: JSON.stringify(ADDRESS), ...more });
const order = (who, subscription, id, more = {}) => insert(who, 'assinante_orders', {
  id, subscription_id: subscription, order_number: `SV-2025-${id}`, status: 'delivered', total: '89.90', ...more });
const invoice = (who, subscription, id, more = {}) => insert(who, 'assinante_invoices', {
  id, subscription_id: subscription, invoice_number: `NF-${id}`, status: 'paid', amount: '89.90',
  description: 'Assinatura Mensal - Outubro 2025', due_date: '2025-10-01', payment_method: 'credit_card', ...more });

// -- registration -------------------------------------------------------------------------------------

test('a new user registers with a token of Firebase, and consents', async () => {
  const token = tokenOf('firebase_uid_abc', { email: 'joao@example.com', email_verified: true });
  expect(await service.call('GET', SUBSCRIPTION, { token }), 404, error('NOT_FOUND', 'Usuário não encontrado'));
  const answer = expect(await register(token, application('joao', { email: ' Joao@Example.com ' })), 201);
  const { id, createdAt, ...user } = answer.json.user;
  assert.equal(answer.json.message, 'Usuário registrado com sucesso');
  assert.deepEqual(user, { firebaseUid: 'firebase_uid_abc', name: 'João Silva', email: 'joao@example.com', phone: '5533999898026' });
  assert.match(id, /^usr_/);
  assert.match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(!answer.text.includes('789'), 'the CPF is not told');
  assert.deepEqual(service.sql(`SELECT consent, granted FROM consent_log WHERE user_id = '${id}' ORDER BY consent`),
    [['DATA_PROCESSING', 't'], ['TERMS', 't']]);
  expect(await service.call('GET', SUBSCRIPTION, { token }), 200, { subscription: null,
    user: { id, name: 'João Silva', email: 'joao@example.com', avatarUrl: null } });
  expect(await register(token, application('joao')), 409, error('CONFLICT', 'Usuário já cadastrado'));
});

test('the same application sent at once by several tabs registers once', async () => {
  const token = tokenOf('tabs', { email: 'tabs@example.com' });
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) =>
    register(token, application('tabs'), { from: `127.0.4.${i + 1}` })));
  assert.deepEqual(answers.map((a) => a.status).sort(), [201, 409, 409, 409, 409, 409]);
});

test('every wrong field is told at once', async () => {
  await subscriber('taken');
  const token = tokenOf('wrong');
  const body = application('taken', { cpf: '123.456.789-00' });
  const some = { from: '127.0.5.1' };
  expect(await register(token, body, some), 400, invalid({ cpf: 'CPF inválido', email: 'Email já cadastrado' }));
  expect(await register(token, {}, some), 400, invalid(Object.fromEntries(
    ['name', 'email', 'phone', 'cpf', 'birthDate', 'address'].map((field) => [field, 'Campo obrigatório']))));
  expect(await register(token, { name: 'Jo', email: 'x', phone: '123', cpf: 11, birthDate: '1990-02-30',
    address: { street: '', city: 'C', state: 'XX', zipCode: '1' } }, some), 400, invalid({
    name: 'Nome deve ter pelo menos 3 caracteres', email: 'Email inválido', phone: 'Telefone inválido',
    cpf: 'Deve ser um texto', birthDate: 'Data de nascimento inválida',
    'address.street': 'Deve ter de 1 a 200 caracteres', 'address.number': 'Campo obrigatório',
    'address.city': 'Deve ter de 2 a 100 caracteres', 'address.state': 'Estado inválido', 'address.zipCode': 'CEP inválido' }));
  expect(await register(token, application('taken'), some), 400, invalid({ email: 'Email já cadastrado' }));
  expect(await register(token, '{', some), 400, error('VALIDATION_ERROR', 'JSON inválido'));
  expect(await register(token, '[]', some), 400, error('VALIDATION_ERROR', 'O corpo deve ser um objeto JSON'));
});

test('a token with an address registers nobody else\'s', async () => {
  const token = tokenOf('theirs', { email: 'mine@example.com' });
  expect(await register(token, application('yours'), { from: '127.0.5.2' }), 400,
    invalid({ email: 'Email diferente do email da conta' }));
  const { email } = expect(await register(token, application('mine'), { from: '127.0.5.2' }), 201).json.user;
  assert.equal(email, 'mine@example.com');
  // Nobody vouches for it: a first login elsewhere is not led here by it.
  assert.deepEqual(service.sql(`SELECT count(*) FROM users WHERE email = 'mine@example.com'`), [['0']]);
});

test('telephone numbers are kept with the country\'s code', async () => {
  const { id } = await subscriber('fone', { phone: '(33) 99989-8026' });
  assert.deepEqual(service.sql(`SELECT phone, cpf FROM subscribers WHERE user_id = '${id}'`), [['5533999898026', '12345678909']]);
});

// -- subscription -------------------------------------------------------------------------------------

test('the dashboard shows the newest active subscription', async () => {
  const maria = await subscriber('maria', { name: 'Maria Silva' });
  const benefits = [{ id: 'ben_1', name: 'Lentes Mensais', description: '6 caixas por mês', icon: '📦', type: 'PRODUCT',
    quantityTotal: 6, quantityUsed: 2, expirationDate: null }];
  subscribe(maria, 'sub_old', { created_at: '2024-01-01T00:00:00Z' });
  subscribe(maria, 'sub_abc123', { benefits: JSON.stringify(benefits) });
  subscribe(maria, 'sub_gone', { status: 'cancelled', created_at: '2025-02-01T00:00:00Z' });
  const user = { id: maria.id, name: 'Maria Silva', email: 'maria@example.com', avatarUrl: null };
  await until('it is known', async () => (await maria.get(SUBSCRIPTION)).json.subscription?.id === 'sub_abc123');
  expect(await maria.get(SUBSCRIPTION), 200, { subscription: {
    id: 'sub_abc123', status: 'active', plan: { name: 'Plano Mensal Premium', price: 89.90, billingCycle: 'monthly' },
    currentPeriodStart: '2025-10-01T00:00:00.000Z', currentPeriodEnd: '2025-11-01T00:00:00.000Z',
    nextBillingDate: '2025-11-01T00:00:00.000Z', benefits, shippingAddress: ADDRESS,
    paymentMethod: 'credit_card', paymentMethodLast4: '4242',
    createdAt: '2025-01-15T10:30:00.000Z', updatedAt: '2025-10-23T14:22:00.000Z' }, user });
});

test('an address is changed, and who changed it is noted', async () => {
  const rosa = await subscriber('rosa');
  const address = { street: 'Rua Nova', number: '456', city: 'Caratinga', state: 'MG', zipCode: '35300-100' };
  expect(await rosa.put({ shippingAddress: address }), 404, error('NOT_FOUND', 'Assinatura não encontrada'));
  subscribe(rosa, 'sub_rosa');
  const { subscription, message } = expect(await rosa.put({ shippingAddress: address }), 200).json;
  assert.equal(message, 'Endereço atualizado com sucesso');
  assert.deepEqual({ ...subscription, updatedAt: '' }, { id: 'sub_rosa', shippingAddress: address, updatedAt: '' });
  const shown = expect(await rosa.get(SUBSCRIPTION), 200).json.subscription; // at once: the summary is dropped
  assert.deepEqual(shown.shippingAddress, address);
  assert.equal(shown.updatedAt, subscription.updatedAt);
  assert.deepEqual(service.sql(`SELECT change, old_value->>'street', new_value->>'street', actor, client_address
    FROM assinante_history WHERE user_id = '${rosa.id}'`),
  [['ADDRESS_UPDATE', 'Rua das Flores', 'Rua Nova', rosa.id, rosa.from]]);

  expect(await rosa.put({ shippingAddress: { ...address, zipCode: '353', state: 'mg' } }), 400,
    invalid({ 'shippingAddress.state': 'Estado inválido', 'shippingAddress.zipCode': 'CEP inválido' }));
  expect(await rosa.put({}), 400, invalid({ shippingAddress: 'Campo obrigatório' }));
  expect(await rosa.put({ shippingAddress: 'Rua Nova' }), 400, invalid({ shippingAddress: 'Endereço inválido' }));
});

test('another node drops its summary, too', async () => {
  const nina = await subscriber('nina');
  subscribe(nina, 'sub_nina');
  second ??= await startSecond(service);
  const there = () => second.call('GET', SUBSCRIPTION, { token: nina.token });
  expect(await there(), 200);
  const address = { ...ADDRESS, street: 'Rua do Outro Nó' };
  expect(await nina.put({ shippingAddress: address }), 200);
  await until('the other node knows', async () =>
    (await there()).json.subscription.shippingAddress.street === 'Rua do Outro Nó', 10_000);
});

// -- orders -------------------------------------------------------------------------------------------

test('orders of all subscriptions come newest first, a page at a time', async () => {
  const otto = await subscriber('otto');
  expect(await otto.get(ORDERS), 200, { orders: [], pagination: { total: 0, limit: 10, offset: 0, hasMore: false } });
  subscribe(otto, 'sub_otto', { status: 'cancelled' });
  const items = [{ id: 'item_1', productName: 'Lentes de Contato Diárias', quantity: 6, unitPrice: 14.98, totalPrice: 89.88 }];
  order(otto, 'sub_otto', '001234', { items: JSON.stringify(items), shipping_address: JSON.stringify(ADDRESS),
    tracking_code: 'BR123456789MG', shipped_at: '2025-10-15T10:00:00Z', delivered_at: '2025-10-18T14:30:00Z',
    created_at: '2025-10-14T08:00:00Z' });
  for (let i = 0; i < 11; ++i)
    order(otto, 'sub_otto', `n${i}`, { created_at: `2025-09-${i + 10}T08:00:00Z`, status: i % 2 ? 'pending' : 'shipped' });
  const first = expect(await until('they are known', async () => {
    const answer = await otto.get(ORDERS);
    return answer.json.pagination.total === 12 && answer;
  }), 200).json;
  const { complement, neighborhood, ...short } = ADDRESS;
  assert.deepEqual(first.orders[0], { id: '001234', status: 'DELIVERED', orderNumber: 'SV-2025-001234', totalAmount: 89.90,
    items, shippingAddress: short, trackingCode: 'BR123456789MG', shippedAt: '2025-10-15T10:00:00.000Z',
    deliveredAt: '2025-10-18T14:30:00.000Z', createdAt: '2025-10-14T08:00:00.000Z' });
  assert.deepEqual(first.pagination, { total: 12, limit: 10, offset: 0, hasMore: true });
  const rest = expect(await otto.get(`${ORDERS}?offset=10`), 200).json;
  assert.deepEqual(rest.orders.map((o) => o.id), ['n1', 'n0']);
  assert.deepEqual(rest.pagination, { total: 12, limit: 10, offset: 10, hasMore: false });
  const pending = expect(await otto.get(`${ORDERS}?status=PENDING&limit=2`), 200).json;
  assert.deepEqual(pending.orders.map((o) => o.id), ['n9', 'n7']);
  assert.deepEqual(pending.pagination, { total: 5, limit: 2, offset: 0, hasMore: true });
  assert.equal((await otto.get(`${ORDERS}?limit=999`)).json.pagination.limit, 50);
  assert.deepEqual((await otto.get(`${ORDERS}?offset=99999999999999999999`)).json.orders, []);
});

test('a page that makes no sense is refused', async () => {
  const paula = await subscriber('paula');
  expect(await paula.get(`${ORDERS}?limit=0&offset=-1&status=LOST`), 400, invalid({
    limit: 'Deve ser um número inteiro maior que zero', offset: 'Deve ser um número inteiro maior ou igual a zero',
    status: 'Status inválido' }));
  for (const query of ['limit=x', 'limit=', 'limit=1.5', 'offset=x', 'status=pending', 'status='])
    expect(await paula.get(`${ORDERS}?${query}`), 400);
  for (const query of ['limit=-3', 'year=25', 'year=abcd', 'year=0001', 'status=SENT'])
    expect(await paula.get(`${INVOICES}?${query}`), 400);
});

test('nobody sees what is another\'s', async () => {
  const [rich, poor] = [await subscriber('rich'), await subscriber('poor')];
  subscribe(rich, 'sub_rich');
  order(rich, 'sub_rich', 'o_rich');
  invoice(rich, 'sub_rich', 'i_rich');
  await until('it is known', async () => (await rich.get(ORDERS)).json.orders.length === 1);
  assert.equal((await poor.get(SUBSCRIPTION)).json.subscription, null);
  assert.deepEqual((await poor.get(ORDERS)).json.orders, []);
  assert.deepEqual((await poor.get(INVOICES)).json.invoices, []);
});

// -- invoices -----------------------------------------------------------------------------------------

test('invoices come with sums that are exact', async () => {
  const ivo = await subscriber('ivo');
  const thisYear = new Date().getUTCFullYear();
  expect(await ivo.get(INVOICES), 200, { invoices: [], summary: { totalPaid: 0, totalPending: 0, totalOverdue: 0, currentYear: thisYear } });
  subscribe(ivo, 'sub_ivo');
  invoice(ivo, 'sub_ivo', 'inv_001', { invoice_number: 'NF-2025-10-001', paid_at: '2025-10-01T10:15:00Z', created_at: '2025-09-25T00:00:00Z' });
  invoice(ivo, 'sub_ivo', 'inv_002', { status: 'pending', due_date: '2025-11-01' });
  for (const [i, amount] of ['0.10', '0.20', '359.30'].entries())
    invoice(ivo, 'sub_ivo', `inv_1${i}`, { amount, due_date: `2025-0${i + 1}-01` });
  invoice(ivo, 'sub_ivo', 'inv_20', { amount: '7', due_date: '2024-12-31' });
  invoice(ivo, 'sub_ivo', 'inv_30', { status: 'overdue', amount: '1.01', due_date: '2025-05-01' });
  invoice(ivo, 'sub_ivo', 'inv_31', { status: 'cancelled', amount: '3', due_date: '2025-05-02' });
  await until('they are known', async () => (await ivo.get(INVOICES)).json.invoices.length === 8);
  const answer = expect(await ivo.get(`${INVOICES}?year=2025&limit=3`), 200);
  assert.deepEqual(answer.json.invoices.map((i) => i.id), ['inv_002', 'inv_001', 'inv_31']);
  assert.deepEqual(answer.json.invoices[1], { id: 'inv_001', invoiceNumber: 'NF-2025-10-001', status: 'PAID', amount: 89.90,
    description: 'Assinatura Mensal - Outubro 2025', dueDate: '2025-10-01T00:00:00.000Z', paidAt: '2025-10-01T10:15:00.000Z',
    paymentMethod: 'credit_card', downloadUrl: `${SITE}/api/assinante/invoices/inv_001/pdf`, createdAt: '2025-09-25T00:00:00.000Z' });
  assert.equal(answer.json.invoices[0].downloadUrl, null);
  assert.equal(digits(answer.text, 'totalPaid'), '449.5');
  assert.deepEqual(answer.json.summary, { totalPaid: 449.5, totalPending: 89.9, totalOverdue: 1.01, currentYear: 2025 });
  const overdue = expect(await ivo.get(`${INVOICES}?status=OVERDUE&year=2025`), 200).json;
  assert.deepEqual(overdue.invoices.map((i) => i.id), ['inv_30']);
  assert.equal(overdue.summary.totalPaid, 449.5); // of the year, whatever is listed
  assert.equal((await ivo.get(INVOICES)).json.summary.currentYear, thisYear);
});

// -- the way in ---------------------------------------------------------------------------------------

test('who brings no token, or a bad one, is told so in Portuguese', async () => {
  const missing = error('UNAUTHORIZED', 'Token de autenticação não fornecido');
  const bad = error('UNAUTHORIZED', 'Token inválido ou expirado');
  for (const path of [SUBSCRIPTION, ORDERS, INVOICES]) {
    expect(await service.call('GET', path), 401, missing);
    expect(await service.call('GET', path, { headers: { Authorization: 'Basic YTpi' } }), 401, missing);
    expect(await service.call('GET', path, { token: 'words' }), 401, bad);
    expect(await service.call('GET', path, { token: tokenOf('late', { exp: seconds() - 120 }) }), 401, bad);
    expect(await service.call('GET', path, { token: tokenOf('x', { auth_time: undefined }) }), 401, bad);
  }
  expect(await service.call('GET', ORDERS, { headers: { Authorization: `bearer ${tokenOf('x')}` } }), 404);
  expect(await service.call('DELETE', ORDERS), 405);
});

test('a write without its CSRF token is refused before anything else, and costs nothing', async () => {
  const refused = error('CSRF_TOKEN_INVALID', 'Token CSRF inválido ou ausente');
  const from = '127.0.6.1';
  for (const attempt of [{}, { headers: { 'X-CSRF-Token': CSRF } }, { cookie: `csrf_token=${CSRF}` },
    { headers: { 'X-CSRF-Token': 'z'.repeat(64) }, cookie: `csrf_token=${'y'.repeat(64)}` }]) {
    const answer = expect(await service.call('PUT', SUBSCRIPTION, { ...attempt, from, body: {} }), 403, refused);
    assert.deepEqual([answer.headers['x-ratelimit-limit'], answer.headers['x-ratelimit-remaining']], ['50', '50']);
    expect(await service.call('POST', REGISTER, { ...attempt, from, body: {} }), 403, refused);
  }
  const counted = expect(await service.call('PUT', SUBSCRIPTION, { ...proof, from, body: {} }), 401);
  assert.equal(counted.headers['x-ratelimit-remaining'], '49');
});

test('a CSRF token is issued on the surface\'s own host, too', async () => {
  const answer = expect(await service.call('GET', '/api/csrf', { headers: { Host: HOST } }), 200);
  assert.equal(answer.cookies.csrf_token.value, answer.json.csrfToken);
  assert.match(answer.json.csrfToken, /^[0-9a-zA-Z_-]{32,}$/);
  assert.equal(answer.headers['x-ratelimit-limit'], '200');
});

test('the three classes count apart, per user, and every answer tells how far', async () => {
  const lena = await subscriber('lena');
  const of = (answer) => ['limit', 'remaining', 'reset'].map((name) => Number(answer.headers[`x-ratelimit-${name}`]));
  const before = seconds();
  const [limit, remaining, reset] = of(expect(await lena.get(ORDERS), 200));
  assert.deepEqual([limit, remaining], [200, 199]);
  assert.ok(reset > before + 800 && reset < before + 960, `${reset - before} s`);
  assert.deepEqual(of(expect(await lena.get(ORDERS), 200)).slice(0, 2), [200, 198]); // from the cache
  assert.deepEqual(of(expect(await lena.put({}), 400)).slice(0, 2), [50, 49]);
  // One was counted when she registered.
  for (let i = 8; i >= 0; --i)
    assert.deepEqual(of(await register(lena.token, {}, { from: lena.from })).slice(0, 2), [10, i]);
  const over = expect(await register(lena.token, {}, { from: lena.from }), 429);
  assert.deepEqual({ ...over.json, retryAfter: 0 },
    error('RATE_LIMIT_EXCEEDED', 'Too many requests. Please try again later.', { retryAfter: 0 }));
  assert.ok(over.json.retryAfter > 800 && over.json.retryAfter <= 915);
  assert.equal(over.headers['retry-after'], String(over.json.retryAfter));
  const other = await subscriber('lara');
  expect(await service.call('GET', ORDERS, { token: other.token, from: lena.from }), 200); // the same address
});

test('who is suspended is refused', async () => {
  const sara = await subscriber('sara');
  service.changeUser(sara.id, `status = 'suspended'`);
  await until('it is known', async () => (await sara.get(ORDERS)).status === 403);
  expect(await sara.get(SUBSCRIPTION), 403, error('FORBIDDEN', 'Conta suspensa'));
});

test('without Firebase and without local accounts, nobody can be let in', async () => {
  const closed = await startService({ env: { BINNACLE_IDENTITY_LOCAL_ACCOUNTS: 'false' } });
  try {
    const unavailable = error('SERVICE_UNAVAILABLE', 'Serviço de autenticação temporariamente indisponível');
    expect(await closed.call('GET', SUBSCRIPTION), 503, { ...unavailable, subscription: null });
    expect(await closed.call('PUT', SUBSCRIPTION, { ...proof, body: {} }), 503, { ...unavailable, subscription: null });
    expect(await closed.call('GET', ORDERS, { token: tokenOf('x') }), 503, unavailable);
    expect(await closed.call('GET', INVOICES), 503, unavailable);
    expect(await closed.call('POST', REGISTER, { ...proof, body: {} }), 503, unavailable);
    expect(await closed.call('POST', REGISTER, { body: {} }), 403);
  } finally {
    await closed.stop();
  }
});

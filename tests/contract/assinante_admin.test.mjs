/// What admins may do for the subscriber dashboard: /api/admin/assinante/*, and the document of an
/// invoice, which its subscriber gets.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { expect, startService, subjectOf, until } from './harness.mjs';

const ADMIN = '/api/admin/assinante', ADDRESS = { street: 'Rua das Flores', number: '123', complement: 'Apto 4',
  neighborhood: 'Centro', city: 'São João del-Rei', state: 'MG', zipCode: '36300-000' };
let service, admin;
before(async () => {
  service = await startService({ env: { BINNACLE_RATE_LIMIT_SCALE: '1000',
    BINNACLE_MAIL_FROM: 'SV Lentes <loja@svlentes.example>' } });
  admin = await service.adminToken();
});
after(() => service?.stop());

const call = (method, path, body, more = {}) => service.call(method, `${ADMIN}/${path}`, { token: admin, body, ...more });
let count = 0;
const subscription = (more = {}) => ({ planName: 'Lentes Diárias', status: 'active', price: 89.9,
  startDate: '2025-01-10', renewalDate: '2025-11-10', paymentMethod: 'credit_card', paymentMethodLast4: '4242',
  shippingAddress: ADDRESS, benefits: [{ name: 'Consulta', type: 'LIMITED', quantityTotal: 1 }], ...more });
const order = (sub, more = {}) => ({ subscriptionId: sub, orderNumber: 'SV-2025-001234', status: 'SHIPPED', totalAmount: 89.9,
  items: [{ productName: 'Lentes', quantity: 6, unitPrice: 14.98, totalPrice: 89.88 }], shippingAddress: ADDRESS, ...more });
const invoice = (sub, more = {}) => ({ subscriptionId: sub, invoiceNumber: 'NF-2025-10-001', status: 'PAID', amount: 1234.56,
  description: 'Assinatura Mensal - Outubro 2025', dueDate: '2025-10-01', paidAt: '2025-10-01T10:15:00.000Z',
  paymentMethod: 'pix', createdAt: '2025-09-25T00:00:00.000Z', ...more });
/// Somebody with a subscription that an admin has made: {token, id, email, sub}.
async function subscriber() {
  const email = `maria${(count += 1)}@example.com`;
  const token = await service.token(email);
  const made = expect(await call('POST', 'subscriptions', subscription({ email })), 201).json.subscription;
  const see = (path) => service.call('GET', `/api/assinante/${path}`, { token });
  return { token, id: subjectOf(token), email, sub: made.id, made, see };
}

test('a subscription of an address makes whoever has it a subscriber', async () => {
  const { id, sub, made, see } = await subscriber();
  assert.equal(made.userId, id);
  assert.match(sub, /^sub_/);
  assert.deepEqual(made.benefits, [{ id: 'ben_1', name: 'Consulta', description: '', icon: '', type: 'LIMITED',
    quantityTotal: 1, quantityUsed: 0, expirationDate: null }]);
  const seen = expect(await see('subscription'), 200).json;
  assert.equal(seen.subscription.id, sub);
  assert.deepEqual(seen.subscription.plan, { name: 'Lentes Diárias', price: 89.9, billingCycle: 'monthly' });
  assert.deepEqual(seen.subscription.shippingAddress, ADDRESS);
});

test('what is read can be sent back, and changes nothing', async () => {
  const { sub } = await subscriber();
  const orderId = expect(await call('POST', 'orders', order(sub)), 201).json.order.id;
  const invoiceId = expect(await call('POST', 'invoices', invoice(sub)), 201).json.invoice.id;
  const entries = () => service.sql(`SELECT count(*) FROM audit_log WHERE action LIKE 'ASSINANTE_%'`)[0][0];
  for (const [kind, id] of [['subscriptions', sub], ['orders', orderId], ['invoices', invoiceId]]) {
    const before = entries();
    const { json } = expect(await call('GET', `${kind}/${id}`), 200);
    expect(await call('PUT', `${kind}/${id}`, Object.values(json)[0]), 200, json);
    assert.equal(entries(), before, kind);
  }
});

test('a subscriber sees at once what an admin has written', async () => {
  const { sub, see } = await subscriber();
  assert.equal(expect(await see('orders'), 200).json.pagination.total, 0);
  assert.equal(expect(await see('invoices'), 200).json.invoices.length, 0);
  const { id } = expect(await call('POST', 'orders', order(sub)), 201).json.order;
  expect(await call('POST', 'invoices', invoice(sub)), 201);
  await until('it is seen', async () => (await see('orders')).json.pagination.total === 1
    && (await see('invoices?year=2025')).json.summary.totalPaid === 1234.56);
  expect(await call('PUT', `orders/${id}`, order(sub, { status: 'DELIVERED', deliveredAt: '2025-10-18T14:30:00Z' })), 200);
  await until('it is delivered', async () => (await see('orders')).json.orders[0].status === 'DELIVERED');
});

test('all that is wrong with a body is told in one answer', async () => {
  const wrong = await call('POST', 'orders', { status: 'LOST', totalAmount: 1.234, items: [{ quantity: 0 }],
    shippingAddress: { ...ADDRESS, zipCode: '1' } });
  expect(wrong, 400);
  assert.equal(wrong.json.error, 'VALIDATION_ERROR');
  assert.deepEqual(wrong.json.details.map(({ field }) => field), ['subscriptionId', 'orderNumber', 'status', 'totalAmount',
    'items[0].productName', 'items[0].quantity', 'items[0].unitPrice', 'items[0].totalPrice', 'shippingAddress.zipCode']);
});

test('a subscriber, a subscription and an id that are not there, or are taken, are told apart', async () => {
  const { sub } = await subscriber(), other = await subscriber();
  const fieldOf = (answer) => expect(answer, 400).json.details[0].field;
  assert.equal(fieldOf(await call('POST', 'orders', order('sub_none'))), 'subscriptionId');
  assert.equal(fieldOf(await call('POST', 'subscriptions', subscription({ userId: 'usr_none' }))), 'userId');
  assert.equal(fieldOf(await call('POST', 'subscriptions', subscription())), 'userId');
  expect(await call('GET', 'orders/ord_none'), 404);
  expect(await call('PUT', 'orders/ord_none', order(sub)), 404);
  const { id } = expect(await call('POST', 'orders', order(sub)), 201).json.order;
  expect(await call('POST', 'orders', order(sub, { id })), 409);
  expect(await call('PUT', `orders/${id}`, order(other.sub)), 409);
  assert.equal(fieldOf(await call('PUT', `orders/${id}`, order(sub, { id: 'ord_else' }))), 'id');
  const ofStripe = { stripeInvoiceId: `in_${count}` };
  expect(await call('POST', 'invoices', invoice(sub, ofStripe)), 201);
  assert.equal(expect(await call('POST', 'invoices', invoice(sub, ofStripe)), 409).json.message,
    'Outra fatura já segue esta do Stripe');
});

test('lists go by id, a page after another, of whom and what is asked for', async () => {
  const { id, sub } = await subscriber();
  const made = [];
  for (let i = 0; i < 5; ++i)
    made.push(expect(await call('POST', 'orders', order(sub, { id: `list_${count}_${i}`, status: i % 2 ? 'PENDING' : 'SHIPPED' })), 201).json.order.id);
  const seen = [];
  for (let cursor = ''; cursor !== null;) {
    const page = expect(await call('GET', `orders?userId=${id}&limit=2&cursor=${cursor}`), 200).json;
    seen.push(...page.orders.map((each) => each.id));
    cursor = page.nextCursor;
  }
  assert.deepEqual(seen, made);
  assert.equal((await call('GET', `orders?subscriptionId=${sub}&status=PENDING`)).json.orders.length, 2);
  assert.equal((await call('GET', `subscriptions?userId=${id}`)).json.subscriptions.length, 1);
  assert.equal((await call('GET', `invoices?userId=${id}`)).json.invoices.length, 0);
  expect(await call('GET', 'orders?limit=0'), 400);
});

test('who did what is in the audit log, and a change of address in the history', async () => {
  const { sub } = await subscriber();
  const body = subscription({ userId: undefined, shippingAddress: { ...ADDRESS, city: 'Ipatinga' } });
  const before = expect(await call('GET', `subscriptions/${sub}`), 200).json.subscription;
  expect(await call('PUT', `subscriptions/${sub}`, { ...body, userId: before.userId }), 200);
  assert.deepEqual(service.sql(`SELECT action, actor FROM audit_log WHERE target = '${sub}' ORDER BY id`),
    [['ASSINANTE_SUBSCRIPTION_CREATED', subjectOf(admin)], ['ASSINANTE_SUBSCRIPTION_UPDATED', subjectOf(admin)]]);
  const { id } = expect(await call('POST', 'orders', order(sub)), 201).json.order;
  expect(await call('PUT', `orders/${id}`, order(sub, { status: 'CANCELLED', totalAmount: 1 })), 200);
  assert.deepEqual(service.sql(`SELECT detail FROM audit_log WHERE target = '${id}' ORDER BY id`).flat().map(JSON.parse),
    [{ now: { status: 'shipped', total: 89.9 } },
      { now: { status: 'cancelled', total: 1 }, before: { status: 'shipped', total: 89.9 } }]);
  assert.deepEqual(service.sql(`SELECT actor, new_value ->> 'city' FROM assinante_history WHERE subscription_id = '${sub}'`),
    [[subjectOf(admin), 'Ipatinga']]);
});

test('paths that are none answer in Portuguese', async () => {
  assert.equal(expect(await call('GET', 'nothing'), 404).json.error, 'NOT_FOUND');
  assert.equal(expect(await call('DELETE', 'orders'), 405).json.message, 'Método não permitido');
});

// -- the document ------------------------------------------------------------------------------------

function textOf(pdf) {
  const ran = spawnSync('pdftotext', ['-layout', '-enc', 'UTF-8', '-', '-'], { input: pdf, encoding: 'utf8', timeout: 20_000 });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}

test('a paid invoice has a document, at its downloadUrl', async () => {
  const { sub, see, token, email } = await subscriber();
  service.sql(`UPDATE users SET name = 'Maria Conceição' WHERE email = '${email}'`);
  expect(await call('POST', 'invoices', invoice(sub)), 201);
  await until('it is seen', async () => (await see('invoices?year=2025')).json.invoices.length === 1);
  const [{ downloadUrl, id }] = (await see('invoices?year=2025')).json.invoices;
  assert.equal(downloadUrl, `/api/assinante/invoices/${id}/pdf`);
  const answer = expect(await service.call('GET', downloadUrl, { token }), 200);
  assert.equal(answer.headers['content-type'], 'application/pdf');
  assert.equal(answer.headers['content-disposition'], 'inline; filename="fatura-NF-2025-10-001.pdf"');
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  const text = textOf(answer.raw);
  for (const line of ['SV Lentes', 'Fatura NF-2025-10-001', 'Maria Conceição', 'R$ 1.234,56', 'Pix', '01/10/2025 às 10:15 (UTC)',
    'Assinatura Mensal - Outubro 2025']) assert.ok(text.includes(line), `${line} is not in:\n${text}`);
  assert.ok(answer.raw.equals((await service.call('GET', downloadUrl, { token })).raw), 'the same bytes');
});

test('a document is its subscriber\'s only, and what is not paid has none', async () => {
  const mine = await subscriber(), theirs = await subscriber();
  const { id } = expect(await call('POST', 'invoices', invoice(mine.sub)), 201).json.invoice;
  const open = expect(await call('POST', 'invoices', invoice(mine.sub, { status: 'PENDING', paidAt: null })), 201).json.invoice;
  const path = (of) => `invoices/${of}/pdf`;
  expect(await mine.see(path(id)), 200);
  for (const answer of [await theirs.see(path(id)), await mine.see(path(open.id)), await mine.see(path('inv_none'))])
    assert.deepEqual(expect(answer, 404).json, { error: 'NOT_FOUND', message: 'Fatura não encontrada' });
  expect(await service.call('GET', `/api/assinante/${path(id)}`), 401);
});

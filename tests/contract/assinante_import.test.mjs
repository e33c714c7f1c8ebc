/// `binnacle import --surface assinante`: what comes in, what is refused, that it may be repeated.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startService } from './harness.mjs';

let service;
before(async () => { service = await startService(); });
after(() => service?.stop());

const ADDRESS = { street: 'Rua das Flores', number: '123', city: 'Caratinga', state: 'MG', zipCode: '35300-000' };
let people = 0;

/// A subscriber with a subscription, an order and an invoice of their own.
function household(more = {}) {
  const n = (people += 1);
  const [email, sub] = [`maria${n}@example.com`, `sub_${n}`];
  return [
    { kind: 'subscriber', email, name: 'Maria Conceição', phone: '5533999898026', cpf: '123.456.789-09',
      birthDate: '1990-05-15', address: ADDRESS, createdAt: '2025-01-02T03:04:05.000Z', ...more.subscriber },
    { kind: 'subscription', id: sub, email, planName: 'Lentes Diárias', status: 'active', price: 89.9,
      startDate: '2025-01-10', renewalDate: '2025-11-10', paymentMethod: 'credit_card',
      paymentMethodLast4: '4242', shippingAddress: ADDRESS,
      benefits: [{ id: 'ben_1', name: 'Consulta', description: 'Uma por ano', icon: 'eye', type: 'LIMITED',
        quantityTotal: 1, quantityUsed: 0, expirationDate: '2025-12-31' }],
      createdAt: '2025-01-10T10:30:00.000Z', ...more.subscription },
    { kind: 'order', id: `ord_${n}`, subscriptionId: sub, orderNumber: `SV-2025-${n}`, status: 'DELIVERED',
      totalAmount: 89.90, items: [{ id: 'item_1', productName: 'Lentes', quantity: 6, unitPrice: 14.98, totalPrice: 89.88 }],
      shippingAddress: ADDRESS, trackingCode: 'BR123456789MG', shippedAt: '2025-10-15T10:00:00.000Z',
      deliveredAt: '2025-10-18T14:30:00.000Z', createdAt: '2025-10-14T08:00:00.000Z', ...more.order },
    { kind: 'invoice', id: `inv_${n}`, subscriptionId: sub, invoiceNumber: `NF-2025-10-${n}`, status: 'PAID',
      amount: 89.90, description: 'Assinatura Mensal - Outubro 2025', dueDate: '2025-10-01T00:00:00.000Z',
      paidAt: '2025-10-01T10:15:00.000Z', paymentMethod: 'credit_card', createdAt: '2025-09-25T00:00:00.000Z',
      ...more.invoice },
  ];
}
const lines = (rows) => rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join('');
let files = 0;
function bring(rows, ...more) {
  const file = join(service.directory, `rows-${(files += 1)}.jsonl`);
  writeFileSync(file, typeof rows === 'string' ? rows : lines(rows));
  return service.cli(['import', '--surface', 'assinante', file, ...more]);
}
async function good(rows, ...more) {
  const { code, stdout, stderr } = await bring(rows, ...more);
  assert.equal(code, 0, stderr);
  return stdout;
}
const value = (sql) => service.sql(sql)[0]?.[0];
/// Everything that an import can change.
const contents = () => ['subscribers', 'assinante_subscriptions', 'assinante_orders', 'assinante_invoices',
  'assinante_history'].map((table) => service.sql(`SELECT to_jsonb(t) FROM ${table} t ORDER BY 1`).flat());

test('rows of every kind come in, and the same file changes nothing', async () => {
  const rows = household();
  const first = await good(rows);
  for (const kind of ['subscribers', 'subscriptions', 'orders', 'invoices'])
    assert.match(first, new RegExp(`^${kind}: 1 created, 0 changed, 0 unchanged$`, 'm'));
  const before = contents();
  assert.equal(value(`SELECT u.email || '|' || s.cpf || '|' || s.phone FROM users u JOIN subscribers s ON s.user_id = u.id
    WHERE u.email = '${rows[0].email}'`), rows[0].email);
  assert.deepEqual(service.sql(`SELECT price, status, payment_method FROM assinante_subscriptions WHERE id = '${rows[1].id}'`),
    [['89.90', 'active', 'credit_card']]);

  const again = await good(rows);
  assert.match(again, /^orders: 0 created, 0 changed, 1 unchanged$/m);
  assert.match(again, /^Nothing was changed\.$/m);
  assert.deepEqual(contents(), before);
});

test('a row that is brought again with other values is changed, and only it', async () => {
  const rows = household();
  await good(rows);
  const moved = structuredClone(rows);
  moved[1].shippingAddress.city = 'Ipatinga';
  moved[2].status = 'CANCELLED';
  const out = await good(moved);
  assert.match(out, /^subscriptions: 0 created, 1 changed, 0 unchanged$/m);
  assert.match(out, /^orders: 0 created, 1 changed, 0 unchanged$/m);
  assert.match(out, /^invoices: 0 created, 0 changed, 1 unchanged$/m);
  assert.deepEqual(service.sql(`SELECT change, actor, old_value ->> 'city', new_value ->> 'city'
    FROM assinante_history WHERE subscription_id = '${rows[1].id}'`),
  [['ADDRESS_UPDATE', 'import', 'Caratinga', 'Ipatinga']]);
});

test('it reads standard input, blank lines, CR LF, and a last line without an end', async () => {
  const rows = household();
  const text = `\n${rows.map((row) => JSON.stringify(row)).join('\r\n  \r\n')}`;
  const { code, stdout, stderr } = await service.cli(['import', '--surface', 'assinante', '-'], { input: text });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^invoices: 1 created/m);
});

test('a dry run says what would happen, and stores nothing', async () => {
  const rows = household();
  const before = contents();
  const out = await good(rows, '--dry-run');
  assert.match(out, /^orders: 1 created, 0 changed, 0 unchanged$/m);
  assert.match(out, /dry run/);
  assert.deepEqual(contents(), before);
  assert.match(await good(rows), /^orders: 1 created/m);
});

test('an import is in the audit log, and one that changes nothing is not', async () => {
  const count = () => Number(value(`SELECT count(*) FROM audit_log WHERE action = 'ASSINANTE_IMPORTED'`));
  const before = count();
  const rows = household();
  await good(rows);
  assert.equal(count(), before + 1);
  await good(rows);
  await good(household(), '--dry-run');
  assert.equal(count(), before + 1);
  const detail = JSON.parse(value(`SELECT detail FROM audit_log WHERE action = 'ASSINANTE_IMPORTED' ORDER BY id DESC LIMIT 1`));
  assert.deepEqual(detail.orders, { created: 1, changed: 0 });
});

test('all that is wrong with a line is told with its number, and nothing of the batch is stored', async () => {
  const rows = household({ subscriber: { cpf: '123.456.789-00', phone: '12', birthDate: '1990-02-30' },
    order: { totalAmount: 12.345, status: 'LOST', items: [{ productName: 'x', quantity: 0, unitPrice: 1, totalPrice: 1 }] } });
  const before = contents();
  const { code, stdout, stderr } = await bring(rows);
  assert.equal(code, 1, stdout);
  for (const line of [/^binnacle: line 1: phone: Telefone inválido; cpf: CPF inválido; birthDate: Data de nascimento inválida$/m,
    /^binnacle: line 3: status: .*; totalAmount: Valor inválido; items\[0\]\.quantity: Deve ser um número inteiro/m])
    assert.match(stderr, line);
  assert.match(stderr, /nothing of lines 1 to 4 was stored/);
  assert.deepEqual(contents(), before);
});

for (const [what, line, why] of [
  ['no JSON', '{"kind":', /line 1: not JSON/],
  ['no object', '[1]', /line 1: not a JSON object/],
  ['bytes that are no UTF-8', Buffer.concat([Buffer.from('{"kind":"'), Buffer.from([0xff]), Buffer.from('"}\n')]).toString('latin1'), /line 1: /],
  ['an unknown kind', { kind: 'benefit' }, /line 1: kind: must be/],
  ['no kind', {}, /line 1: kind: must be/],
  ['an unknown field', { ...household()[0], nickname: 'x' }, /line 1: nickname: Campo desconhecido/],
  ['a text of NUL', { ...household()[0], name: 'a\u0000b' }, /line 1: name: /],
  ['no id', { ...household()[2], id: undefined }, /line 1: id: Campo obrigatório/],
  ['no time', { ...household()[3], createdAt: undefined }, /line 1: createdAt: Campo obrigatório/],
  ['a paid invoice without a day', { ...household()[3], paidAt: null }, /line 1: paidAt: Campo obrigatório/],
  ['an order of no subscription', { ...household()[2], subscriptionId: 'sub_none' }, /line 1: subscriptionId: there is none/],
  ['a subscription of nobody', { ...household()[1], email: 'nobody@example.com' }, /line 1: email: there is none/],
  ['a subscription that ends before it begins', { ...household()[1], renewalDate: '2024-01-01' }, /line 1: renewalDate: /],
  ['a login of an issuer that nobody has configured', { ...household()[0], firebaseUid: 'uid' }, /line 1: firebaseUid: no issuer/],
]) {
  test(`a line with ${what} is refused`, async () => {
    const { code, stderr } = await bring([line]);
    assert.equal(code, 1);
    assert.match(stderr, why);
  });
}

test('a line may have a mebibyte, and the next one is read all the same', async () => {
  const long = JSON.stringify({ kind: 'subscriber', name: 'x'.repeat(9 * 1024 * 1024) });
  const { code, stderr } = await bring([long, '{"kind":"x"}', long, '[]']);
  assert.equal(code, 1);
  for (const n of [1, 3]) assert.match(stderr, new RegExp(`^binnacle: line ${n}: line: longer than 1048576 bytes$`, 'm'));
  assert.match(stderr, /^binnacle: line 2: kind:/m);
  assert.match(stderr, /^binnacle: line 4: not a JSON object$/m);
});

test('two lines with one id are refused, even far apart', async () => {
  const [person] = household();
  const { code, stderr } = await bring([person, { ...person, name: 'Outra Maria' }]);
  assert.equal(code, 1);
  assert.match(stderr, /line 2: id: is in line 1 already/);
});

test('an order cannot go to another subscriber', async () => {
  const [mine, theirs] = [household(), household()];
  await good([...mine, ...theirs]);
  const { code, stderr } = await bring([{ ...mine[2], subscriptionId: theirs[1].id }]);
  assert.equal(code, 1);
  assert.match(stderr, /line 1: id: belongs to another subscriber/);
});

test('of many batches, those before a refusal stay, and those after it are not read', async () => {
  const [person, subscription] = household();
  const order = (n) => ({ kind: 'order', id: `many_${n}`, subscriptionId: subscription.id, orderNumber: `M-${n}`,
    status: 'PENDING', totalAmount: 1, items: [], createdAt: '2025-10-14T08:00:00Z' });
  const rows = [person, subscription, ...Array.from({ length: 14_998 }, (_, n) => order(n))];
  rows[7_000] = { ...order(6_998), status: 'LOST' };
  const refused = await bring(rows);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^binnacle: line 7001: status: /m);
  assert.match(refused.stderr, /nothing of lines 5001 to 10000 was stored.*what comes before them was/);
  assert.match(refused.stdout, /^orders: 4998 created/m);
  assert.equal(value(`SELECT count(*) FROM assinante_orders WHERE id LIKE 'many_%'`), '4998');

  const rehearsed = await bring(rows, '--dry-run');
  assert.equal(rehearsed.code, 1);
  assert.match(rehearsed.stdout, /^orders: 9999 created, 0 changed, 4998 unchanged$/m);

  rows[7_000] = order(6_998);
  assert.match(await good(rows), /^orders: 10000 created, 0 changed, 4998 unchanged$/m);
});

test('a hundred thousand orders come in, and a second time nothing happens', { timeout: 300_000 }, async () => {
  const [person, subscription] = household();
  const orders = Array.from({ length: 100_000 }, (_, n) => ({ kind: 'order', id: `bulk_${n}`, subscriptionId: subscription.id,
    orderNumber: `SV-${n}`, status: 'SHIPPED', totalAmount: n / 100,
    items: [{ id: 'item_1', productName: 'Lentes de Contato Diárias', quantity: 6, unitPrice: 14.98, totalPrice: 89.88 }],
    shippingAddress: ADDRESS, trackingCode: `BR${n}MG`, shippedAt: '2025-10-15T10:00:00Z', createdAt: '2025-10-14T08:00:00Z' }));
  const rows = lines([person, subscription, ...orders]);
  assert.match(await good(rows), /^orders: 100000 created, 0 changed, 0 unchanged$/m);
  assert.equal(value(`SELECT sum(total) FROM assinante_orders WHERE id LIKE 'bulk_%'`), '49999500.00');
  assert.match(await good(rows), /^orders: 0 created, 0 changed, 100000 unchanged\nNothing was changed\.$/m);
});

test('a wrong call is told apart from a wrong file', async () => {
  const directory = await service.cli(['import', '--surface', 'assinante', service.directory]);
  assert.equal(directory.code, 1, directory.stdout);
  assert.match(directory.stderr, /could not be read/);
  for (const args of [['import'], ['import', '--surface', 'assinante'], ['import', '--surface', 'hub', '-'],
    ['import', '--surface', 'assinante', '/nowhere/at/all']])
    assert.equal((await service.cli(args)).code, 2, args.join(' '));
});

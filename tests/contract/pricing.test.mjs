import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HOUR, digits, expect, iso, startCompany, startOfHour, startOfMonth, until } from './harness.mjs';

let company, service;
before(async () => {
  company = await startCompany({ standIn: ['--namespaces', 'analytics'] });
  ({ service } = company);
});
after(() => company?.stop());

const DEFAULTS = {
  compute_credits: 0.35, cpu_hour: 0.175, gpu_hour: 3.5, ram_gb_hour: 0.0175,
  storage_online_gb: 0.5, storage_offline_gb: 0.03, network_egress_gb: 0.14,
};
const pricing = (options) => service.call('GET', '/api/pricing', options);
const setPrice = (product, price, from) => service.sql(`INSERT INTO stripe_products
  (product_type, unit_price, valid_from) VALUES ('${product}', ${price}, '${iso(from)}')`);
const collect = async (hour) => expect(await service.call('POST', '/api/admin/usage/collect', {
  token: company.admin, body: { from: iso(hour), to: iso(hour + HOUR), again: true },
}), 200);

test('the prices are public', async () => {
  expect(await pricing(), 200, DEFAULTS);
});

test('a credential changes nothing, not even a bad one', async () => {
  expect(await pricing({ token: await service.token('bob@example.com') }), 200, DEFAULTS);
  expect(await pricing({ token: 'nonsense' }), 200, DEFAULTS);
});

test('products replace the prices, and the compute rates follow from the credit', async () => {
  service.sql(`INSERT INTO stripe_products (product_type, unit_price, active, valid_from) VALUES
    ('compute_credits', 0.7, true, '2026-01-01'), ('storage_online_gb', 0.25, true, '2026-01-01'),
    ('storage_offline_gb', 9, false, '2026-01-01'), ('compute_credits', 99, false, '2026-01-01')`);
  const wanted = {
    compute_credits: 0.7, cpu_hour: 0.35, gpu_hour: 7, ram_gb_hour: 0.035,
    storage_online_gb: 0.25, storage_offline_gb: 0.03, network_egress_gb: 0.28,
  };
  await until('the cached price list is dropped', async () =>
    (await pricing()).json.compute_credits === 0.7);
  expect(await pricing(), 200, wanted);
});

test('the prices shown are the prices billed', async () => {
  const hour = startOfHour() - HOUR;
  const bob = await service.token('bob@example.com');
  await service.project('bob@example.com', 'alpha', 'analytics');
  await company.standIn.command('POST', '/data', {
    [iso(hour)]: { analytics: {
      cpuCoreHours: 2, gpuHours: 1, ramByteHours: 4 * 2 ** 30, pvByteHours: 72 * 2 ** 30,
    } },
  });
  await collect(hour);
  const month = iso(startOfMonth(hour)).slice(0, 7);
  const bill = expect(await service.call('GET', `/api/billing?month=${month}`, { token: bob }), 200);
  assert.equal(bill.json.rates.cpu_hour, 0.35);
  assert.equal(digits(bill.text, 'computeCost'), '7.84'); // 2·0.35 + 1·7 + 4·0.035
  assert.equal(digits(bill.text, 'storageCost'), '0.025'); // 72/720 · 0.25
  assert.equal(digits(bill.text, 'total'), '7.865');
});

test('a price to come shows when its time has come', async () => {
  const begins = Math.ceil(Date.now() / 1000) * 1000 + 5000;
  setPrice('compute_credits', 1, begins);
  assert.equal((await pricing()).json.compute_credits, 0.7);
  await until('the price is valid', () => Date.now() >= begins); // asking all the time is limited
  assert.equal((await pricing()).json.compute_credits, 1);
});

test('an hour keeps its price when it is collected again', async () => {
  const hour = startOfHour() - HOUR;
  const bob = await service.token('bob@example.com');
  const bill = async () => expect(await service.call('GET',
    `/api/billing?month=${iso(startOfMonth(hour)).slice(0, 7)}`, { token: bob }), 200);
  await collect(hour);
  const answer = await bill();
  assert.equal(answer.json.rates.cpu_hour, 0.5);
  assert.equal(digits(answer.text, 'total'), '7.865');
});

test('the price of a booked hour cannot be changed', async () => {
  assert.throws(() => setPrice('compute_credits', 2, startOfHour() - HOUR), /are booked/);
  assert.throws(() => service.sql('UPDATE stripe_products SET unit_price = 2'), /are booked/);
});

test('without a database the built-in prices come with an error', async () => {
  service.sql('ALTER TABLE stripe_products RENAME TO hidden');
  service.announce('prices:');
  try {
    const answer = await until('the cache is dropped', async () => {
      const now = await pricing();
      return now.status === 500 && now;
    });
    assert.deepEqual(answer.json, { ...DEFAULTS, error: answer.json.error });
    assert.equal(typeof answer.json.error, 'string');
    assert.doesNotMatch(answer.text, /stripe_products|relation|SQL/i);
    assert.equal(answer.headers['cache-control'], 'no-store');
  } finally {
    service.sql('ALTER TABLE hidden RENAME TO stripe_products');
    service.announce('prices:');
  }
});

test('only reading is possible', async () => {
  const answer = expect(await service.call('PUT', '/api/pricing', { body: {} }), 405,
    { error: 'Method not allowed' });
  assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
});

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
const publish = (sql) => {
  service.sql(sql);
  service.announce('prices:');
};

test('the prices are public', async () => {
  expect(await pricing(), 200, DEFAULTS);
});

test('a credential changes nothing, not even a bad one', async () => {
  expect(await pricing({ token: await service.token('bob@example.com') }), 200, DEFAULTS);
  expect(await pricing({ token: 'nonsense' }), 200, DEFAULTS);
});

test('products replace the prices, and the compute rates follow from the credit', async () => {
  publish(`INSERT INTO stripe_products (product_type, unit_price, active) VALUES
    ('compute_credits', 0.7, true), ('storage_online_gb', 0.25, true),
    ('storage_offline_gb', 9, false), ('compute_credits', 99, false)`);
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
  expect(await service.call('POST', '/api/admin/usage/collect', {
    token: company.admin, body: { from: iso(hour), to: iso(hour + HOUR) },
  }), 200);
  const month = iso(startOfMonth(hour)).slice(0, 7);
  const bill = expect(await service.call('GET', `/api/billing?month=${month}`, { token: bob }), 200);
  assert.equal(bill.json.rates.cpu_hour, 0.35);
  assert.equal(digits(bill.text, 'computeCost'), '7.84'); // 2·0.35 + 1·7 + 4·0.035
  assert.equal(digits(bill.text, 'storageCost'), '0.025'); // 72/720 · 0.25
  assert.equal(digits(bill.text, 'total'), '7.865');
});

test('without a database the built-in prices come with an error', async () => {
  publish('ALTER TABLE stripe_products RENAME TO hidden');
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
    publish('ALTER TABLE hidden RENAME TO stripe_products');
  }
});

test('only reading is possible', async () => {
  const answer = expect(await service.call('PUT', '/api/pricing', { body: {} }), 405,
    { error: 'Method not allowed' });
  assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
});

// Imports many orders through `binnacle import`, and copies the same rows into bare tables.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median } from './measure.mjs';
import { copyOrders, countOrders } from './schema.mjs';

const people = 100;
const address = { street: 'Rua das Flores', number: '123', complement: 'Apto 45', neighborhood: 'Centro',
  city: 'Caratinga', state: 'MG', zipCode: '35300-000' };
const item = { id: 'item_1', productName: 'Lentes de Contato Diárias', quantity: 6, unitPrice: 14.98, totalPrice: 89.88 };

const write = (file, rows) => writeFileSync(file, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
const subscription = n => `bench_sub_${n}`;

/** Subscribers with a subscription each, once. */
const subscribers = Array.from({ length: people }, (_, n) => {
  const email = `bench-subscriber-${n}@example.org`;
  return [
    { kind: 'subscriber', email, name: `Bench ${n}`, createdAt: '2025-01-01T00:00:00Z' },
    { kind: 'subscription', id: subscription(n), email, planName: 'Lentes', status: 'active', price: 89.9,
      startDate: '2025-01-01', renewalDate: '2025-02-01', paymentMethod: 'pix', createdAt: '2025-01-01T00:00:00Z' },
  ];
}).flat();

const order = (round, n) => ({ kind: 'order', id: `bench_${round}_${n}`, subscriptionId: subscription(n % people),
  orderNumber: `SV-${round}-${n}`, status: 'SHIPPED', totalAmount: 89.9, items: [item], shippingAddress: address,
  trackingCode: `BR${n}MG`, shippedAt: '2025-10-15T10:00:00Z', deliveredAt: null,
  createdAt: new Date(Date.UTC(2025, 0, 1) + n * 1000).toISOString() });

/**
 * Returns {rows, seconds, againSeconds, copySeconds, likeSeconds}: the rows of one round and medians:
 * of the import, of the same import once more, of COPY into a bare table, and into one with the
 * same indexes and constraints.
 */
export async function measureImport(service, { rows, rounds }, workDir, say) {
  await service.start({});
  const bring = async file => {
    const began = performance.now();
    await service.command(['import', '--surface', 'assinante', file], { seconds: 900 });
    return (performance.now() - began) / 1000;
  };
  const file = join(workDir, 'rows.jsonl');
  write(file, subscribers);
  await bring(file);
  const imported = [], again = [], bare = [], like = [];
  for (let round = 0; round < rounds; ++round) {
    write(file, Array.from({ length: rows }, (_, n) => order(round, n)));
    imported.push(await bring(file));
    again.push(await bring(file));
    const stored = await countOrders(service.postgres, `bench_${round}_`);
    if (stored !== rows) throw new Error(`import stored ${stored} rows instead of ${rows}`);
    const copied = await copyOrders(service.postgres, `bench_${round}_`, join(workDir, 'orders.copy'));
    bare.push(copied.bare);
    like.push(copied.like);
    say(`  round ${round + 1}/${rounds}  import ${imported.at(-1).toFixed(2)} s, again ${again.at(-1).toFixed(2)} s, `
      + `COPY ${copied.bare.toFixed(2)} s, with indexes ${copied.like.toFixed(2)} s`);
  }
  await service.stop();
  return { rows, seconds: median(imported), againSeconds: median(again), copySeconds: median(bare), likeSeconds: median(like) };
}

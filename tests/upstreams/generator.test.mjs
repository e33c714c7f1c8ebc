import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AMOUNTS, expectedTotals, hourUsage, slice } from './lib/generator.mjs';
import { HOUR, MINUTE, parseTime } from './lib/time.mjs';
import { between, toDecimal, toNumber, toUnits } from './lib/units.mjs';

const TEN = parseTime('2026-01-15T10:00:00Z');

describe('units', () => {
  it('are written with five decimals', () => {
    assert.equal(toDecimal(123456789n), '1234.56789');
    assert.equal(toDecimal(7n), '0.00007');
    assert.equal(toDecimal(-7n), '-0.00007');
  });

  it('know no NaN and no infinity', () => {
    assert.equal(toUnits(NaN), null);
    assert.equal(toUnits(Infinity), null);
    assert.equal(toUnits('12'), null);
  });

  it('of parts of an hour add up to the hour exactly', () => {
    const parts = [[0, 7], [7, 1201], [1201, 3599], [3599, 3600]];

    const sum = parts.reduce((total, [a, b]) => total + between(1_000_003n, a, b), 0n);

    assert.equal(sum, 1_000_003n);
  });
});

describe('the generator', () => {
  it('gives the same hour for the same seed and another one for another', () => {
    const usage = hourUsage(1, 'analytics', TEN);

    assert.deepEqual(hourUsage(1, 'analytics', TEN), usage);
    assert.notDeepEqual(hourUsage(2, 'analytics', TEN), usage);
    assert.notDeepEqual(hourUsage(1, 'fraud-detection', TEN), usage);
    assert.notDeepEqual(hourUsage(1, 'analytics', TEN + HOUR), usage);
  });

  it('makes the same numbers on every machine and version', () => {
    const { cpuCoreHours, ramByteHours, gpuHours } = hourUsage(1, 'analytics', TEN);

    assert.deepEqual(
      [cpuCoreHours, gpuHours, ramByteHours].map(toDecimal),
      ['2.76777', '0.00000', '8335779092.28007']);
  });

  it('makes numbers that survive a double', () => {
    for (let i = 0; i < 500; i += 1) {
      const units = hourUsage(3, `project-${i}`, TEN + i * HOUR);
      for (const field of AMOUNTS) {
        assert.equal(Number(toNumber(units[field])).toFixed(5), toDecimal(units[field]), field);
        assert.equal(toUnits(JSON.parse(JSON.stringify(toNumber(units[field])))), units[field]);
      }
    }
  });

  it('gives a partial hour its share of the minutes', () => {
    const whole = hourUsage(1, 'analytics', TEN);

    const part = slice(whole, TEN, TEN + 20 * MINUTE);

    assert.equal(part.cpuCoreHours, whole.cpuCoreHours / 3n);
  });

  it('uses some GPUs, but not in every namespace', () => {
    const all = Array.from({ length: 50 }, (_, i) => hourUsage(1, `p${i}`, TEN).gpuHours > 0n);

    assert.ok(all.includes(true) && all.includes(false));
  });
});

describe('the expected totals', () => {
  const namespaces = ['analytics', 'fraud-detection'];
  const totals = (from, to, more) => expectedTotals({ seed: 1, namespaces, from, to, ...more });
  const units = (text) => BigInt(text.replace('.', ''));

  it('are the exact sum of the hours', () => {
    const day = totals(TEN, TEN + 24 * HOUR).analytics;

    let sum = 0n;
    for (let i = 0; i < 24; i += 1) {
      sum += hourUsage(1, 'analytics', TEN + i * HOUR).ramByteHours;
    }
    assert.equal(day.ramByteHours, toDecimal(sum));
  });

  it('do not depend on where the range is split', () => {
    const middle = TEN + 5 * HOUR + 17 * MINUTE;

    const whole = totals(TEN, TEN + 9 * HOUR).analytics;
    const left = totals(TEN, middle).analytics;
    const right = totals(middle, TEN + 9 * HOUR).analytics;

    assert.equal(units(left.totalCost) + units(right.totalCost), units(whole.totalCost));
    assert.equal(units(left.cpuCoreHours) + units(right.cpuCoreHours), units(whole.cpuCoreHours));
  });

  it('leave out what is unknown and count it', () => {
    const known = totals(TEN, TEN + 100 * HOUR).analytics;
    const holey = totals(TEN, TEN + 100 * HOUR, { nulls: 0.2 }).analytics;

    assert.equal(known.unknown, 0);
    assert.ok(holey.unknown > 5 && holey.unknown < 40);
    assert.ok(units(holey.ramByteHours) < units(known.ramByteHours));
  });

  it('leave out the hours that are a null set', () => {
    assert.equal(totals(TEN, TEN + HOUR, { nullSets: 1 }).analytics.totalCost, '0.00000');
  });
});

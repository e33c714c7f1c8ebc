import { createHash } from 'node:crypto';
import { HOUR, SECOND, hourOf, hoursBetween, iso } from './time.mjs';
import { add, between, toDecimal, toUnits } from './units.mjs';

/// Made-up usage that depends on (seed, name, hour) only, so that a test can work out what a
/// collector must have booked without asking the server.

export const SYSTEM_NAMESPACES = [
  'hopsworks', 'ingress-nginx', 'kube-node-lease', 'kube-public', 'kube-system', 'opencost',
];
export const SYNTHETIC_ROWS = ['__idle__', '__unallocated__', '__unmounted__'];

/// The amounts an hour of a namespace consists of; they add up over time. The rest of an
/// allocation (averages, efficiencies, totals) follows from them.
export const COSTS = ['cpuCost', 'gpuCost', 'ramCost', 'pvCost', 'networkCost'];
export const AMOUNTS = [
  'cpuCoreHours', 'cpuRequestHours', 'cpuUsageHours', 'gpuHours',
  'ramByteHours', 'ramRequestHours', 'ramUsageHours', 'pvByteHours',
  'networkTransferBytes', 'networkReceiveBytes', ...COSTS,
];
const TOTALS = ['cpuCoreHours', 'gpuHours', 'ramByteHours', 'pvByteHours', ...COSTS];
const NULLABLE = ['cpuCoreHours', 'gpuHours', 'ramByteHours', 'pvByteHours'];

// Synthetic rows carry only what OpenCost puts there; an idle row, for one, has costs but no hours.
const ONLY = {
  __idle__: ['cpuCost', 'gpuCost', 'ramCost'],
  __unallocated__: ['networkTransferBytes', 'networkReceiveBytes', 'networkCost'],
  __unmounted__: ['pvByteHours', 'pvCost'],
};

const GIB = 2 ** 30;
const GB = 10 ** 9;
// OpenCost's default price list, in dollars per hour (network: per GiB).
const PRICE = { core: 0.031611, gib: 0.004237, gpu: 0.95, pvGib: 0.00005479452, networkGib: 0.01 };

/// Whole hour, in units of 1e-5. With `nulls`, that share of the namespace-hours has one unknown.
export function hourUsage(seed, name, hour, { nulls = 0 } = {}) {
  const units = Object.fromEntries(
    Object.entries(model(seed, name, hour)).map(([field, amount]) => [
      field, ONLY[name] && !ONLY[name].includes(field) ? 0n : toUnits(amount),
    ]));
  const [chance, which] = draws(seed, name, iso(hour), 'null');
  if (!ONLY[name] && chance < nulls) units[NULLABLE[Math.floor(which * NULLABLE.length)]] = null;
  return units;
}

/// Whether OpenCost has lost the whole hour and answers null in place of the set.
export function isNullSet(seed, hour, { nullSets = 0 } = {}) {
  return draws(seed, iso(hour), 'null set')[0] < nullSets;
}

/// What there is to book for each namespace in [from, to): exact decimal sums as strings, leaving
/// out the unknown numbers, which are counted instead.
export function expectedTotals({ seed, namespaces, from, to, nulls = 0, nullSets = 0 }) {
  const totalsOf = (name) => {
    const sums = Object.fromEntries([...TOTALS, 'totalCost'].map((field) => [field, 0n]));
    let unknown = 0;
    for (const { hour, begin, end } of hoursBetween(from, to)) {
      if (isNullSet(seed, hour, { nullSets })) continue;
      const part = slice(hourUsage(seed, name, hour, { nulls }), begin, end);
      for (const field of TOTALS) {
        if (part[field] === null) unknown += 1;
        else sums[field] += part[field];
      }
      sums.totalCost += totalCost(part);
    }
    const decimals = Object.entries(sums).map(([field, units]) => [field, toDecimal(units)]);
    return { ...Object.fromEntries(decimals), unknown };
  };
  return Object.fromEntries(namespaces.map((name) => [name, totalsOf(name)]));
}

/// The share of an hour's amounts between two times within that hour.
export function slice(units, begin, end) {
  const second = (time) => Math.floor((time - hourOf(begin)) / SECOND);
  return mapAmounts((field) => between(units[field], second(begin), second(end)));
}

export function sum(a, b) {
  return mapAmounts((field) => add(a[field], b[field]));
}

export function totalCost(units) {
  return COSTS.reduce((total, field) => add(total, units[field]), 0n);
}

export function mapAmounts(f) {
  return Object.fromEntries(AMOUNTS.map((field) => [field, f(field)]));
}

// Plain arithmetic only: Math.sin and its kin may differ between versions of node.
function model(seed, name, hour) {
  const [cores, memory, gpus, disk] = draws(seed, name);
  const [load, fill, gpuLoad, sent, received] = draws(seed, name, iso(hour));
  const noon = 1 - Math.abs((hour / HOUR) % 24 - 12) / 12;

  const cpuRequestHours = 0.25 + 3.75 * cores;
  const cpuUsageHours = cpuRequestHours * (0.1 + 0.6 * noon + 0.5 * load);
  const ramRequestHours = GB * (0.5 + 15.5 * memory);
  const ramUsageHours = ramRequestHours * (0.4 + 0.7 * fill);
  // OpenCost allocates what was requested or what was used, whichever is more.
  const cpuCoreHours = Math.max(cpuRequestHours, cpuUsageHours);
  const ramByteHours = Math.max(ramRequestHours, ramUsageHours);
  const gpuHours = gpus > 0.6 && gpuLoad > 0.3 ? Math.ceil(4 * (gpus - 0.6)) * gpuLoad : 0;
  const pvByteHours = GIB * (1 + Math.floor(28 * disk));
  const networkTransferBytes = GB * 2 * sent * noon;
  const networkReceiveBytes = GB * 2 * received * noon;
  return {
    cpuCoreHours, cpuRequestHours, cpuUsageHours, gpuHours,
    ramByteHours, ramRequestHours, ramUsageHours, pvByteHours,
    networkTransferBytes, networkReceiveBytes,
    cpuCost: cpuCoreHours * PRICE.core,
    gpuCost: gpuHours * PRICE.gpu,
    ramCost: (ramByteHours / GIB) * PRICE.gib,
    pvCost: (pvByteHours / GIB) * PRICE.pvGib,
    networkCost: (networkTransferBytes / GIB) * PRICE.networkGib,
  };
}

// Eight numbers in [0, 1) that belong to the key.
function draws(...key) {
  const digest = createHash('sha256').update(key.join('\n')).digest();
  return Array.from({ length: 8 }, (_, i) => digest.readUInt32BE(4 * i) / 2 ** 32);
}

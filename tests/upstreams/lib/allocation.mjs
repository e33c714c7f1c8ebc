import { HOUR, MINUTE, iso } from './time.mjs';
import { add, toNumber, toUnits } from './units.mjs';
import { mapAmounts, totalCost } from './generator.mjs';

/// One row of an OpenCost answer, all fields in OpenCost's order. `usage` is what was seen from
/// `begin` to `end`, the part of the window in which the namespace ran.
export function allocation(name, window, { units, begin, end }, cluster) {
  const n = mapAmounts((field) => toNumber(units[field]));
  const hours = (end - begin) / HOUR;
  const average = (amount) => round(amount === null ? NaN : amount / hours);
  const efficiency = (used, requested) => round(requested ? used / requested : used ? 1 : 0);
  const costs = add(units.cpuCost, units.ramCost);

  return {
    name,
    properties: properties(name, cluster),
    window: { start: iso(window.start), end: iso(window.end) },
    start: iso(begin),
    end: iso(end),
    minutes: round((end - begin) / MINUTE),
    cpuCores: average(n.cpuCoreHours),
    cpuCoreRequestAverage: average(n.cpuRequestHours),
    cpuCoreUsageAverage: average(n.cpuUsageHours),
    cpuCoreHours: n.cpuCoreHours,
    cpuCost: n.cpuCost,
    cpuCostAdjustment: 0,
    cpuCostIdle: 0,
    cpuEfficiency: efficiency(n.cpuUsageHours, n.cpuRequestHours),
    gpuCount: average(n.gpuHours),
    gpuHours: n.gpuHours,
    gpuCost: n.gpuCost,
    gpuCostAdjustment: 0,
    gpuCostIdle: 0,
    // 0/0 on OpenCost's side, hence NaN, hence null: the null one meets every day.
    gpuEfficiency: n.gpuHours ? 1 : null,
    networkTransferBytes: n.networkTransferBytes,
    networkReceiveBytes: n.networkReceiveBytes,
    networkCost: n.networkCost,
    networkCrossZoneCost: 0,
    networkCrossRegionCost: 0,
    networkInternetCost: n.networkCost,
    networkCostAdjustment: 0,
    loadBalancerCost: 0,
    loadBalancerCostAdjustment: 0,
    pvBytes: average(n.pvByteHours),
    pvByteHours: n.pvByteHours,
    pvCost: n.pvCost,
    pvs: volumes(name, n, cluster),
    pvCostAdjustment: 0,
    ramBytes: average(n.ramByteHours),
    ramByteRequestAverage: average(n.ramRequestHours),
    ramByteUsageAverage: average(n.ramUsageHours),
    ramByteHours: n.ramByteHours,
    ramCost: n.ramCost,
    ramCostAdjustment: 0,
    ramCostIdle: 0,
    ramEfficiency: efficiency(n.ramUsageHours, n.ramRequestHours),
    externalCost: 0,
    sharedCost: 0,
    totalCost: toNumber(totalCost(units)),
    totalEfficiency: costs ? round(
      (n.cpuCost * efficiency(n.cpuUsageHours, n.cpuRequestHours) +
        n.ramCost * efficiency(n.ramUsageHours, n.ramRequestHours)) / toNumber(costs)) : 0,
    proportionalAssetResourceCosts: {},
    lbAllocations: null,
    sharedCostBreakdown: {},
    gpuAllocation: null,
  };
}

/// A hand-written allocation with every field it left out filled in, for the given window.
export function complete(name, window, given, cluster) {
  const usage = { units: amountsOf(given), begin: window.start, end: window.end };
  return { ...allocation(name, window, usage, cluster), ...given };
}

/// The amounts in an allocation that came from a file or a test; one that is missing is zero, one
/// that is no number is unknown.
export function amountsOf(given) {
  const hours = (given.minutes ?? 60) / 60;
  const averages = {
    cpuRequestHours: given.cpuCoreRequestAverage,
    cpuUsageHours: given.cpuCoreUsageAverage,
    ramRequestHours: given.ramByteRequestAverage,
    ramUsageHours: given.ramByteUsageAverage,
  };
  return mapAmounts((field) => {
    if (!(field in averages)) return field in given ? toUnits(given[field]) : 0n;
    return averages[field] === null ? null : toUnits((averages[field] ?? 0) * hours);
  });
}

// Aggregated by namespace, OpenCost keeps only the properties that all pods of it share.
function properties(name, cluster) {
  if (name === '__idle__') return { cluster };
  return { cluster, namespace: name };
}

function volumes(name, n, cluster) {
  if (!n.pvByteHours) return null;
  const key = `cluster=${cluster}:name=pvc-${name.replace(/^__|__$/g, '')}`;
  return { [key]: { byteHours: n.pvByteHours, cost: n.pvCost, providerID: '' } };
}

function round(value) {
  return toNumber(toUnits(value));
}

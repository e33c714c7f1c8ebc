/// Numbers in units of 1e-5, the precision OpenCost rounds to, held as BigInt so that sums are
/// exact. `null` is a number OpenCost does not know (NaN or Inf on its side): it makes every sum
/// unknown.

const SCALE = 100_000;
const DIGITS = 5;

export function toUnits(number) {
  return typeof number === 'number' && Number.isFinite(number)
    ? BigInt(Math.round(number * SCALE))
    : null;
}

/// "12.34567", always with five decimals: for people and for exact comparison.
export function toDecimal(units) {
  const sign = units < 0n ? '-' : '';
  const digits = String(units < 0n ? -units : units).padStart(DIGITS + 1, '0');
  return `${sign}${digits.slice(0, -DIGITS)}.${digits.slice(-DIGITS)}`;
}

/// The double nearest to the decimal. It prints as that decimal up to 2^35, which every number of
/// one namespace and hour stays below; larger sums lose digits here just as they do in OpenCost.
export function toNumber(units) {
  return units === null ? null : Number(toDecimal(units));
}

export function add(a, b) {
  return a === null || b === null ? null : a + b;
}

/// The part of an hour's amount that falls between two moments of that hour (seconds from its
/// start). Taken as a difference of floors, so that parts always add up to the whole exactly.
export function between(units, begin, end) {
  if (units === null) return null;
  const upTo = (second) => (units * BigInt(second)) / 3600n;
  return upTo(end) - upTo(begin);
}

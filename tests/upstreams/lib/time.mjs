/// Times as OpenCost writes and reads them: whole seconds in UTC with a Z, nothing else.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/// 2026-01-31T09:00:00Z, without the milliseconds that Date adds.
export function iso(time) {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}

/// Milliseconds, or undefined: Date.parse alone takes far more than RFC 3339, and the 31st of June.
export function parseTime(text) {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text ?? '')) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) || iso(time) !== text ? undefined : time;
}

export function hourOf(time) {
  return Math.floor(time / HOUR) * HOUR;
}

/// The hours that [from, to) touches, each with the part of it that is inside.
export function* hoursBetween(from, to) {
  for (let hour = hourOf(from); hour < to; hour += HOUR) {
    yield { hour, begin: Math.max(from, hour), end: Math.min(to, hour + HOUR) };
  }
}

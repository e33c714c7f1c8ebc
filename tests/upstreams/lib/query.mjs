import { DAY, HOUR, MINUTE, parseTime } from './time.mjs';

/// The parameters of /allocation/compute. Stricter than OpenCost, which ignores what it does not
/// know: a typo in the collector must fail a test and not ask for something else.

const DURATION = { m: MINUTE, h: HOUR, d: DAY };
const LONGEST = 366 * DAY;

export class BadRequest extends Error {}

/// {start, end, step, accumulate}; throws BadRequest with the text OpenCost answers.
export function parseQuery(parameters) {
  for (const name of parameters.keys()) {
    if (!(name in readers)) throw new BadRequest(`Unknown '${name}' parameter`);
    if (parameters.getAll(name).length > 1) throw new BadRequest(`Duplicate '${name}' parameter`);
  }
  const values = Object.fromEntries(
    Object.entries(readers).map(([name, read]) => [name, read(parameters.get(name), name)]));
  const { window: { start, end }, step, accumulate } = values;
  return { start, end, step: step ?? end - start, accumulate };
}

const readers = {
  window: readWindow,
  aggregate: readAggregate,
  accumulate: readBoolean,
  step: readDuration,
  resolution: readDuration,
  includeIdle: readBoolean,
  idleByNode: readBoolean,
  shareIdle: (text, name) => {
    if (readBoolean(text, name)) throw invalid(name, 'the stand-in does not share idle cost');
  },
};

function readWindow(text, name) {
  const [start, end, ...more] = (text ?? '').split(',').map(parseTime);
  // The words OpenCost uses. It also takes "1h" or "today", which no exact collector may send.
  if (start === undefined || end === undefined || more.length > 0 || end <= start) {
    throw invalid(name, `illegal window: ${text ?? ''}`);
  }
  if (end - start > LONGEST) throw invalid(name, `longer than a year: ${text}`);
  return { start, end };
}

function readAggregate(text, name) {
  if (text !== 'namespace') throw invalid(name, `the stand-in knows namespace only, not ${text}`);
  return text;
}

function readBoolean(text, name) {
  if (text !== null && text !== 'true' && text !== 'false') throw invalid(name, text);
  return text === 'true';
}

function readDuration(text, name) {
  if (text === null) return undefined;
  const [, count, unit] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  if (!count) throw invalid(name, text);
  return count * DURATION[unit];
}

function invalid(name, why) {
  return new BadRequest(`Invalid '${name}' parameter: ${why}`);
}

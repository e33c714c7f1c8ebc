import { createCommands, done, readOptions } from './commands.mjs';
import { parseTime } from './time.mjs';

/// The commands of the OpenCost stand-in.

export function createControl({ store, faults, log }) {
  return createCommands({
    'GET /health': () => ({ status: 'ok' }),
    'GET /faults': () => faults.pending,
    'POST /faults': done((body) => faults.add(body)),
    'DELETE /faults': done(() => faults.clear()),
    'GET /requests': () => log.entries,
    'DELETE /requests': done(() => log.clear()),
    'POST /data': done((body) => store.replace(body)),
    'PATCH /data': done((body) => store.overlay(body)),
    'DELETE /data': done(() => store.reset()),
    'GET /options': () => store.options,
    'POST /options': done((body) => store.configure(readOptions(body, OPTIONS))),
  });
}

const isShare = (value) => typeof value === 'number' && value >= 0 && value <= 1;
const OPTIONS = {
  nulls: (value) => (isShare(value) ? value : undefined),
  nullSets: (value) => (isShare(value) ? value : undefined),
  now: (value) => (value === null ? null : parseTime(value)),
  from: (value) => (value === null ? null : parseTime(value)),
};

import { createCommands, done, readOptions } from '../commands.mjs';
import { isCount, isFlag } from '../faults.mjs';
import { copy } from './account.mjs';
import { ACTIONS } from './actions.mjs';
import { addCatalogue } from './catalogue.mjs';

/// The commands of the Stripe stand-in.

export function createControl({ account, webhooks, settings, faults, log }) {
  return createCommands({
    'GET /health': () => ({ status: 'ok' }),
    'GET /faults': () => faults.pending,
    'POST /faults': done((body) => faults.add(body)),
    'DELETE /faults': done(() => faults.clear()),
    'GET /requests': () => log.entries,
    'DELETE /requests': done(() => log.clear()),
    'GET /options': () => settings,
    'POST /options': done((body) => Object.assign(settings, readOptions(body, SETTINGS))),
    'GET /clock': () => account.clock.state,
    'POST /clock': (body) => {
      account.clock.set(readOptions(body, CLOCK));
      return account.clock.state;
    },
    'GET /webhooks': () => webhooks.endpoints,
    'POST /webhooks': (body) => webhooks.register(body ?? {}),
    'DELETE /webhooks': done(() => webhooks.clear()),
    'GET /webhooks/options': () => webhooks.options,
    'POST /webhooks/options': done((body) => webhooks.configure(readOptions(body, WEBHOOKS))),
    'GET /webhooks/deliveries': () => webhooks.log,
    'DELETE /webhooks/deliveries': done(() => webhooks.forget()),
    'GET /webhooks/summary': () => webhooks.summary,
    'POST /webhooks/emit': (body) => ({
      events: [body].flat().map((each) => emit(account, each).id),
    }),
    'POST /webhooks/redeliver': done(({ events }) =>
      events.forEach((id) => webhooks.redeliver(id)),
    ),
    'POST /actions': (body) =>
      Object.entries(body ?? {}).map(([name, value]) => {
        if (!Object.hasOwn(ACTIONS, name))
          throw new TypeError(`an action is one of ${Object.keys(ACTIONS).join(', ')}`);
        return ACTIONS[name](account, value);
      }),
    'POST /catalogue': done((body) => addCatalogue(account, body ?? {})),
    'GET /state': () =>
      Object.fromEntries(Object.entries(account.collections).map(([name, { all }]) => [name, all])),
    'GET /state/:collection': (_, name) => {
      if (!Object.hasOwn(account.collections, name))
        throw new TypeError(`${name} is none of ${Object.keys(account.collections).join(', ')}`);
      return account.collections[name].all;
    },
    'GET /meters/:meter/totals': (_, name) => {
      const meter = account.meters.find(name);
      if (!meter) throw new TypeError(`there is no meter ${name}`);
      return account.meters.totals(meter);
    },
  });
}

// {type, object | id, previous_attributes?, created?, event?}: an object that is there, changed by
// `object`, or any other. `event` is the id, to send the very same one twice.
function emit(account, { type, object = {}, id, previous_attributes: previous, created, event }) {
  if (typeof type !== 'string') throw new TypeError('an event needs a type');
  const known = id === undefined ? {} : account.find(id);
  if (!known) throw new TypeError(`there is no ${id}`);
  return account.emit(type, { ...copy(known), ...object }, previous, {
    ...(created !== undefined && { created }),
    ...(event && { id: event }),
  });
}

const keepIf = (check) => (value) => (check(value) ? value : undefined);
const isShare = (value) => typeof value === 'number' && value >= 0 && value <= 1;
const isList = (check) => (value) => Array.isArray(value) && value.every(check);
const isTypes = isList((value) => typeof value === 'string');

const SETTINGS = {
  rateLimit: keepIf((value) => value === null || isCount(value)),
  requireIdempotencyKey: keepIf(isFlag),
  meterMs: keepIf(isCount),
};

const CLOCK = {
  now(value) {
    if (value === null) return null;
    const time = typeof value === 'number' ? value * 1000 : Date.parse(value);
    return Number.isFinite(time) ? time : undefined;
  },
  skewSeconds: keepIf(Number.isInteger),
};

const WEBHOOKS = {
  duplicate: keepIf(isShare),
  shuffle: keepIf(isFlag),
  delayMs: keepIf(isCount),
  drop: keepIf((value) => isShare(value) || isTypes(value)),
  skewSeconds: keepIf(Number.isInteger),
  concurrency: keepIf((value) => isCount(value) && value > 0),
  timeoutMs: keepIf((value) => isCount(value) && value > 0),
  retryMs: keepIf(isList(isCount)),
};

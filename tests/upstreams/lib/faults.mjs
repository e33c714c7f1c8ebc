import { setTimeout as sleep } from 'node:timers/promises';

/// Misbehaviour on command. Faults wait in a queue; a request takes the first one that matches its
/// url and meets that one only.

const isCount = (value) => Number.isInteger(value) && value >= 0;
const isPositive = (value) => isCount(value) && value > 0;
const COMMON = {
  times: isPositive,
  match: (value) => typeof value === 'string',
};
const KINDS = {
  latency: { ms: isCount },
  status: { status: (value) => isCount(value) && value >= 400 && value < 600 },
  truncate: {},
  reset: {},
  hang: {},
  garbage: {},
  'error-envelope': {},
};
const OPTIONAL = { status: { retryAfter: isCount }, 'error-envelope': { message: COMMON.match } };

export class Faults {
  #queue = [];
  #hanging = new Set();

  get pending() { return this.#queue; }

  /// Takes one fault or a list of them, all or none.
  add(faults) {
    const checked = [faults].flat().map(check);
    this.#queue.push(...checked);
  }

  /// Also lets go of the requests that hang; their connections are closed.
  clear() {
    this.#queue = [];
    for (const socket of this.#hanging) socket.destroy();
    this.#hanging.clear();
  }

  /// The fault for this request, or undefined. Counts as met.
  take(url) {
    const fault = this.#queue.find(({ match }) => url.includes(match ?? ''));
    if (fault && (fault.times -= 1) === 0) this.#queue.splice(this.#queue.indexOf(fault), 1);
    return fault && { ...fault };
  }

  hang(socket) {
    this.#hanging.add(socket);
    socket.once('close', () => this.#hanging.delete(socket));
  }
}

/// Bends an answer ({status, headers, body}) to the fault; null when nothing is to be sent.
export async function misbehave(fault, answer, { socket, faults, status }) {
  switch (fault?.kind) {
    case 'latency':
      await sleep(fault.ms);
      return answer;
    case 'status':
      return status(fault.status, fault.retryAfter);
    case 'reset':
      socket.destroy();
      return null;
    case 'hang':
      faults.hang(socket);
      return null;
    case 'truncate':
      return { ...answer, truncated: true };
    case 'garbage':
      return json('{"code":200,"status":"success","data":[{"analytics":{"cpuCoreHours":1.2e');
    case 'error-envelope':
      // The HTTP status says success all the same; this is what makes it a trap.
      return json(JSON.stringify({
        code: 500, status: 'error', data: null,
        message: fault.message ?? 'error computing allocations: prometheus query timed out',
      }));
    default:
      return answer;
  }
}

function json(body) {
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body };
}

function check(fault) {
  const needed = KINDS[fault?.kind];
  if (!needed) throw new TypeError(`kind is one of ${Object.keys(KINDS).join(', ')}`);
  const { kind, ...fields } = fault;
  const known = { ...COMMON, ...needed, ...OPTIONAL[kind] };
  for (const [name, value] of Object.entries(fields)) {
    if (!known[name]) throw new TypeError(`a ${kind} fault has no ${name}`);
    if (!known[name](value)) throw new TypeError(`bad ${name} of a ${kind} fault`);
  }
  for (const name of Object.keys(needed)) {
    if (!(name in fields)) throw new TypeError(`a ${kind} fault needs ${name}`);
  }
  return { times: 1, ...fault };
}

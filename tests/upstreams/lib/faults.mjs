import { setTimeout as sleep } from 'node:timers/promises';

/// Misbehaviour on command. Faults wait in a queue; a request takes the first one that matches its
/// url and meets that one only.

export const isCount = (value) => Number.isInteger(value) && value >= 0;
export const isFailure = (value) => isCount(value) && value >= 400 && value < 600;
export const isFlag = (value) => typeof value === 'boolean';
const isText = (value) => typeof value === 'string';
const COMMON = { times: (value) => isCount(value) && value > 0, match: isText };

/// What OpenCost and the Kubernetes API server in front of it may do.
export const OPENCOST_FAULTS = {
  latency: { needed: { ms: isCount } },
  status: { needed: { status: isFailure }, optional: { retryAfter: isCount } },
  truncate: {},
  reset: {},
  hang: {},
  garbage: {},
  'error-envelope': { optional: { message: isText } },
};

export class Faults {
  #kinds;
  #queue = [];
  #hanging = new Set();

  /// `kinds` says which there are, and with which fields: {kind: {needed, optional}}.
  constructor(kinds) {
    this.#kinds = kinds;
  }

  get pending() { return this.#queue; }

  /// Takes one fault or a list of them, all or none.
  add(faults) {
    const checked = [faults].flat().map((fault) => check(fault, this.#kinds));
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

function check(fault, kinds) {
  const kind = kinds[fault?.kind];
  if (!kind) throw new TypeError(`kind is one of ${Object.keys(kinds).join(', ')}`);
  const { kind: name, ...fields } = fault;
  const { needed = {}, optional } = kind;
  const known = { ...COMMON, ...needed, ...optional };
  for (const [field, value] of Object.entries(fields)) {
    if (!known[field]) throw new TypeError(`a ${name} fault has no ${field}`);
    if (!known[field](value)) throw new TypeError(`bad ${field} of a ${name} fault`);
  }
  for (const field of Object.keys(needed)) {
    if (!(field in fields)) throw new TypeError(`a ${name} fault needs ${field}`);
  }
  return { times: 1, ...fault };
}

import { readFileSync } from 'node:fs';
import { allocation, amountsOf, complete } from './allocation.mjs';
import * as generator from './generator.mjs';
import { HOUR, MINUTE, hourOf, hoursBetween, iso, parseTime } from './time.mjs';

/// What the stand-in knows: generated hours, or hours from a file, or one fixed reply; and on top
/// of them the hours a test has put in.
export class Store {
  #cluster = 'cluster-one';
  #options;
  #origin = new Map();
  #generates = true;
  #reply = null;
  #changes = new Map();

  /// options: seed, namespaces, from, now (null: the clock), nulls, nullSets; file is optional.
  constructor({ file, ...options }) {
    this.#options = options;
    if (file) this.#load(JSON.parse(readFileSync(file, 'utf8')));
  }

  /// The `data` of an OpenCost answer: one set per step.
  query({ start, end, step, accumulate }) {
    if (this.#reply) return this.#reply.data;
    if (accumulate) return [this.#set(start, end)];
    const sets = [];
    // OpenCost does not cut the last step at the window's end, and neither is it cut here.
    for (let begin = start; begin < end; begin += step) sets.push(this.#set(begin, begin + step));
    return sets;
  }

  get reply() { return this.#reply; }
  get options() { return { ...this.#options }; }
  configure(changes) { Object.assign(this.#options, changes); }

  /// Hours as {"<hour>": {"<namespace>": allocation}}; null for an hour is a null set.
  replace(hours) {
    this.#refuseWithReply();
    for (const [hour, set] of readHours(hours)) {
      this.#changes.set(hour, set && withoutNulls(set));
    }
  }

  /// Like replace, but keeps the hour's other namespaces; null for a namespace takes it away.
  overlay(hours) {
    this.#refuseWithReply();
    for (const [hour, set] of readHours(hours)) {
      this.#changes.set(hour, set && withoutNulls({ ...this.#wholeHour(hour), ...set }));
    }
  }

  reset() { this.#changes.clear(); }

  #refuseWithReply() {
    if (this.#reply) throw new TypeError('a whole reply was given: its hours can not be changed');
  }

  #load(json) {
    if (Array.isArray(json.data)) {
      this.#reply = json;
    } else {
      for (const [hour, set] of readHours(json)) {
        this.#origin.set(hour, set && withoutNulls(set));
      }
      this.#generates = false;
    }
  }

  #given(hour) {
    return this.#changes.has(hour) ? this.#changes.get(hour) : this.#origin.get(hour);
  }

  #set(start, end) {
    const window = { start, end };
    if (start === hourOf(start) && end === start + HOUR) {
      const given = this.#given(start);
      // Word for word, so that a test can also serve fields no generator would.
      if (given !== undefined) return given && this.#complete(window, given);
    }
    const hours = [...hoursBetween(start, end)].map((part) => this.#usage(part));
    if (hours.every((rows) => rows === null)) return null;
    return this.#render(window, hours.filter((rows) => rows !== null).flat());
  }

  /// The rows of one hour between begin and end, as [name, usage]; null for a null set.
  #usage({ hour, begin, end }) {
    const given = this.#given(hour);
    if (given === null) return null;
    if (given) {
      return Object.entries(given).map(([name, row]) =>
        [name, { units: generator.slice(amountsOf(row), begin, end), begin, end }]);
    }
    if (!this.#generates) return [];
    return this.#generated({ hour, ...this.#lifetime(begin, end) });
  }

  #generated({ hour, begin, end }) {
    const { seed, namespaces } = this.#options;
    if (begin >= end) return [];
    if (generator.isNullSet(seed, hour, this.#options)) return null;
    const names = new Set(
      [...namespaces, ...generator.SYSTEM_NAMESPACES, ...generator.SYNTHETIC_ROWS]);
    return [...names].map((name) => {
      const units = generator.hourUsage(seed, name, hour, this.#options);
      return [name, { units: generator.slice(units, begin, end), begin, end }];
    });
  }

  // There is nothing before the cluster existed and nothing yet after the present minute.
  #lifetime(begin, end) {
    const { from, now } = this.#options;
    const present = Math.floor((now ?? Date.now()) / MINUTE) * MINUTE;
    return { begin: Math.max(begin, from ?? begin), end: Math.min(end, present) };
  }

  #wholeHour(hour) {
    const given = this.#given(hour);
    if (given !== undefined || !this.#generates) return given ?? {};
    const window = { start: hour, end: hour + HOUR };
    return this.#render(window, this.#generated({ hour, begin: hour, end: hour + HOUR }) ?? []);
  }

  #render(window, rows) {
    const usages = new Map();
    for (const [name, usage] of rows) {
      const sofar = usages.get(name);
      usages.set(name, sofar ? {
        units: generator.sum(sofar.units, usage.units), begin: sofar.begin, end: usage.end,
      } : usage);
    }
    return sorted([...usages].map(([name, usage]) =>
      [name, allocation(name, window, usage, this.#cluster)]));
  }

  #complete(window, given) {
    return sorted(Object.entries(given).map(([name, row]) =>
      [name, complete(name, window, row, this.#cluster)]));
  }
}

// Go writes the keys of a map in byte order.
function sorted(rows) {
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function readHours(hours) {
  if (!isObject(hours)) throw new TypeError('want {"<hour>": {"<namespace>": allocation}}');
  return new Map(Object.entries(hours).map(([text, set]) => {
    const hour = parseTime(text);
    if (hour === undefined || hour !== hourOf(hour)) {
      throw new TypeError(`${text} is no hour like ${iso(hourOf(Date.now()))}`);
    }
    if (set !== null && !isObject(set)) throw new TypeError(`${text} holds no set of allocations`);
    for (const [name, row] of Object.entries(set ?? {})) {
      if (row !== null && !isObject(row)) throw new TypeError(`${text} ${name} is no allocation`);
    }
    return [hour, set];
  }));
}

function withoutNulls(set) {
  return Object.fromEntries(Object.entries(set).filter(([, row]) => row !== null));
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

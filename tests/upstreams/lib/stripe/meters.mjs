import { randomUUID } from 'node:crypto';
import { invalid, noSuch } from './errors.mjs';

/// Meters and what was sent to them. Sums are exact: decimals of up to 12 places, kept as integers.

const PLACES = 12;
const UNIT = 10n ** BigInt(PLACES);
const MINUTE = 60;
const DAY = 86_400;
const OLDEST = 35 * DAY;
const FUTURE = 5 * MINUTE;
/// How long an identifier is refused; Stripe says at least so long.
const REMEMBERED = DAY;

export class Meters {
  #meters = new Map();
  /// `meter/customer` -> {events, sums: second -> [sum, count]}
  #usage = new Map();
  /// identifier -> time, oldest first
  #identifiers = new Map();

  constructor(clock) {
    this.clock = clock;
  }

  get all() {
    return [...this.#meters.values()];
  }

  /// A whole meter from {id, event_name, …}.
  describe({ id, event_name: name, ...more }) {
    if (!id || !name) throw new TypeError('a meter needs id and event_name');
    const meter = {
      id,
      object: 'billing.meter',
      created: this.clock.now,
      customer_mapping: { event_payload_key: 'stripe_customer_id', type: 'by_id' },
      default_aggregation: { formula: 'sum' },
      display_name: name,
      event_name: name,
      event_time_window: null,
      livemode: false,
      status: 'active',
      status_transitions: { deactivated_at: null },
      updated: this.clock.now,
      value_settings: { event_payload_key: 'value' },
      ...more,
    };
    if (!['sum', 'count'].includes(meter.default_aggregation.formula)) {
      throw new TypeError('a meter aggregates by sum or count');
    }
    return meter;
  }

  add(meter) {
    this.#meters.set(meter.id, meter);
  }

  /// By id or event name.
  find(name) {
    return this.#meters.get(name) ?? this.all.find((each) => each.event_name === name);
  }

  get(id) {
    const meter = this.#meters.get(id);
    if (!meter) throw noSuch('billing meter', id);
    return meter;
  }

  /// Takes an event {event_name, payload, identifier?, timestamp?}; `customers` says who there is.
  record(
    { event_name: name, payload, identifier = randomUUID(), timestamp = this.clock.now },
    customers,
  ) {
    const meter = this.find(name);
    if (meter?.event_name !== name)
      throw invalid(
        `No active meter found for event name ${name}.`,
        'event_name',
        'resource_missing',
      );
    if (meter.status !== 'active')
      throw invalid(
        `The meter for event name ${name} is inactive.`,
        'event_name',
        'archived_meter',
      );
    const customer = payloadOf(payload, meter.customer_mapping.event_payload_key);
    customers.get(customer, `payload[${meter.customer_mapping.event_payload_key}]`);
    const valueKey = meter.value_settings.event_payload_key;
    const value = toUnits(payloadOf(payload, valueKey), `payload[${valueKey}]`);
    this.#checkTime(timestamp);
    this.#claim(identifier);
    this.#count(meter, customer, timestamp, value);
    return {
      object: 'billing.meter_event',
      created: this.clock.now,
      event_name: name,
      identifier,
      livemode: false,
      payload,
      timestamp,
    };
  }

  #checkTime(timestamp) {
    const { now } = this.clock;
    if (timestamp < now - OLDEST) {
      throw invalid(
        'The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or '
          + `equal to ${now - OLDEST}.`,
        'timestamp',
        'timestamp_too_far_in_past',
      );
    }
    if (timestamp > now + FUTURE) {
      throw invalid(
        'The event timestamp cannot be more than 5 minutes in the future.',
        'timestamp',
        'timestamp_in_future',
      );
    }
  }

  #claim(identifier) {
    const { now } = this.clock;
    for (const [known, at] of this.#identifiers) {
      if (at > now - REMEMBERED) break;
      this.#identifiers.delete(known);
    }
    if (this.#identifiers.has(identifier)) {
      const refusal = invalid(
        `An event already exists with identifier ${identifier}.`,
        'identifier',
      );
      refusal.headers = { 'Stripe-Should-Retry': 'false' };
      throw refusal;
    }
    this.#identifiers.set(identifier, now);
  }

  #count(meter, customer, timestamp, value) {
    const key = `${meter.id}/${customer}`;
    let usage = this.#usage.get(key);
    if (!usage) this.#usage.set(key, (usage = { events: 0, sums: new Map() }));
    usage.events += 1;
    const [sum, count] = usage.sums.get(timestamp) ?? [0n, 0];
    usage.sums.set(timestamp, [sum + value, count + 1]);
  }

  /// The sum of a customer's events in [from, to), in units of 1e-12; undefined without events.
  #between(meter, customer, from, to) {
    let total;
    for (const [time, [sum, count]] of this.#usage.get(`${meter.id}/${customer}`)?.sums ?? []) {
      if (time < from || time >= to) continue;
      total =
        (total ?? 0n)
        + (meter.default_aggregation.formula === 'count' ? BigInt(count) * UNIT : sum);
    }
    return total;
  }

  /// A decimal text, '0' without events.
  usage(meter, customer, from, to) {
    return toDecimal(this.#between(meter, customer, from, to) ?? 0n);
  }

  /// Windows without events are left out; the newest first.
  summaries(meter, { customer, start_time: from, end_time: to, value_grouping_window: window }) {
    const step = { day: DAY, hour: 3600 }[window] ?? MINUTE;
    for (const [param, time] of [
      ['start_time', from],
      ['end_time', to],
    ]) {
      if (time % step !== 0)
        throw invalid(
          `${param} must be aligned with ${window ?? 'minute'} boundaries (UTC).`,
          param,
        );
    }
    if (from >= to) throw invalid('start_time must be before end_time.', 'start_time');
    const summaries = [];
    for (let end = to; end > from; end -= window ? step : to - from) {
      const start = window ? end - step : from;
      const sum = this.#between(meter, customer, start, end);
      if (sum === undefined) continue;
      summaries.push({
        id: `mtrusg_test_${meter.id}_${customer}_${start}_${end}`,
        object: 'billing.meter_event_summary',
        aggregated_value: Number(toDecimal(sum)),
        end_time: end,
        livemode: false,
        meter: meter.id,
        start_time: start,
      });
    }
    return summaries;
  }

  /// {events, customers: {id: {events, sum}}}: exact sums, whatever the meter aggregates by.
  totals(meter) {
    const customers = {};
    let events = 0;
    for (const [key, usage] of this.#usage) {
      if (!key.startsWith(`${meter.id}/`)) continue;
      events += usage.events;
      const sum = [...usage.sums.values()].reduce((total, [each]) => total + each, 0n);
      customers[key.slice(meter.id.length + 1)] = { events: usage.events, sum: toDecimal(sum) };
    }
    return { meter: meter.id, event_name: meter.event_name, events, customers };
  }

  snapshot() {
    return { meters: this.#meters, usage: this.#usage, identifiers: this.#identifiers };
  }

  restore({ meters, usage, identifiers }) {
    this.#meters = meters;
    this.#usage = usage;
    this.#identifiers = identifiers;
  }
}

function payloadOf(payload, key) {
  const value = payload[key];
  if (value === undefined || value === '') {
    throw invalid(
      `Missing required param: payload[${key}].`,
      `payload[${key}]`,
      'parameter_missing',
    );
  }
  return value;
}

function toUnits(text, param) {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,12}))?$/.exec(text);
  if (!match)
    throw invalid(
      `Invalid decimal: ${text}; at most 15 digits before and 12 after the point`,
      param,
    );
  const [, sign, whole, fraction = ''] = match;
  const units = BigInt(whole) * UNIT + BigInt(fraction.padEnd(PLACES, '0'));
  return sign ? -units : units;
}

function toDecimal(units) {
  const size = units < 0n ? -units : units;
  const fraction = String(size % UNIT)
    .padStart(PLACES, '0')
    .replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${size / UNIT}${fraction && `.${fraction}`}`;
}

import { randomBytes } from 'node:crypto';
import { Collection } from './collection.mjs';
import { Meters } from './meters.mjs';

/// All that Stripe knows about one account, as objects in the form of the wire. Everything that
/// changes it goes through `create` and `update`, which make the events.

export const API_VERSION = '2025-06-30.basil';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export function randomText(length) {
  let text = '';
  for (const byte of randomBytes(length)) text += ALPHABET[byte % ALPHABET.length];
  return text;
}

export const newId = (prefix, length = 24) => `${prefix}_${randomText(length)}`;

export class Account {
  customers = new Collection('customer', '/v1/customers');
  paymentMethods = new Collection('PaymentMethod', '/v1/payment_methods');
  products = new Collection('product', '/v1/products');
  prices = new Collection('price', '/v1/prices');
  sessions = new Collection('checkout.session', '/v1/checkout/sessions');
  subscriptions = new Collection('subscription', '/v1/subscriptions');
  invoices = new Collection('invoice', '/v1/invoices');
  paymentIntents = new Collection('payment_intent', '/v1/payment_intents');
  setupIntents = new Collection('setupintent', '/v1/setup_intents');
  refunds = new Collection('refund', '/v1/refunds');
  disputes = new Collection('dispute', '/v1/disputes');
  events = new Collection('notification', '/v1/events');

  /// Session id -> {items, …}: what a session was made with and does not show unless asked for.
  checkouts = new Map();
  /// Payment methods whose charges are declined.
  declining = new Set();

  /// The request that is being worked on, for the events it makes.
  request = { id: null, idempotency_key: null };
  /// Called with every event.
  publish = () => {};
  /// Whether every endpoint that wants the event has it.
  isDelivered = () => true;
  /// Where the pages are that people see, e.g. http://127.0.0.1:4242.
  url = '';

  constructor(clock) {
    this.clock = clock;
    this.meters = new Meters(clock);
  }

  get now() {
    return this.clock.now;
  }

  get collections() {
    return Object.fromEntries(
      Object.entries(this).filter(([, value]) => value instanceof Collection),
    );
  }

  /// Adds the object and makes its event, if the kind has one.
  create(collection, object, event) {
    collection.add(object);
    if (event) this.emit(event, object);
    return object;
  }

  /// Changes the object; an event with what was different before, unless nothing was.
  update(object, event, change) {
    const before = copy(object);
    Object.assign(object, change);
    const previous = differences(before, object);
    if (previous) this.emit(event, object, previous);
    return object;
  }

  emit(type, object, previous, more = {}) {
    const event = {
      id: newId('evt'),
      object: 'event',
      api_version: API_VERSION,
      created: this.now,
      data: { object: copy(object), ...(previous && { previous_attributes: previous }) },
      livemode: false,
      pending_webhooks: 0,
      request: { ...this.request },
      type,
      ...more,
    };
    // The very same event may be published again.
    if (!this.events.find(event.id)) this.events.add(event);
    this.publish(event);
    return event;
  }

  /// Any object by its id.
  find(id) {
    for (const collection of Object.values(this.collections)) {
      const object = collection.find(id);
      if (object) return object;
    }
    return undefined;
  }

  snapshot() {
    const { checkouts, declining, collections } = this;
    return {
      checkouts,
      declining,
      meters: this.meters.snapshot(),
      collections: Object.fromEntries(
        Object.entries(collections).map(([name, { all }]) => [name, all]),
      ),
    };
  }

  restore({ collections, meters, ...rest }) {
    Object.assign(this, rest);
    this.meters.restore(meters);
    for (const [name, objects] of Object.entries(collections)) {
      for (const object of objects) this[name].add(object);
    }
  }
}

export function copy(value) {
  return JSON.parse(JSON.stringify(value));
}

const isHash = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

// Hashes are compared field by field, everything else as a whole; undefined: no difference.
function differences(before, after) {
  const changed = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, now] = [before[key] ?? null, after[key] ?? null];
    if (isHash(old) && isHash(now)) {
      const inner = differences(old, now);
      if (inner) changed[key] = inner;
    } else if (JSON.stringify(old) !== JSON.stringify(now)) {
      changed[key] = old;
    }
  }
  return Object.keys(changed).length > 0 ? changed : undefined;
}

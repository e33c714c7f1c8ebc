import http from 'node:http';
import https from 'node:https';
import { newId } from './account.mjs';
import { matchesType } from './routes.mjs';
import { signPayload } from './signature.mjs';

/// Sends events to the endpoints that want them, at least once and in no certain order:
/// https://docs.stripe.com/webhooks

const REMEMBERED = 50_000;
const SHUFFLE_WINDOW = 50;

/// How deliveries go wrong, and how often they are tried again.
const OPTIONS = {
  duplicate: 0, // share of the delivered events that are sent once more
  shuffle: false, // events that come within 50 ms leave in random order
  delayMs: 0,
  drop: [], // types that are never sent, or a share of all
  skewSeconds: 0, // of the time in the signature
  concurrency: 16, // per endpoint
  timeoutMs: 20_000,
  retryMs: [1_000, 5_000, 30_000], // the pause before each further attempt
};

export class Webhooks {
  options = { ...OPTIONS };
  #endpoints = new Map();
  /// event id -> its deliveries that have not succeeded
  #open = new Map();
  #held = [];
  #timers = new Set();
  #log = [];
  #counts = { sent: 0, succeeded: 0, failed: 0 };
  #agents = [new http.Agent({ keepAlive: true }), new https.Agent({ keepAlive: true })];
  #isClosed = false;

  constructor(account) {
    this.account = account;
    account.publish = (event) => this.#publish(event);
    account.isDelivered = (event) => !this.#open.has(event.id);
  }

  get endpoints() {
    return [...this.#endpoints.values()].map(({ id, url, secrets, events }) => ({
      id,
      url,
      secrets,
      events,
    }));
  }

  /// Adds an endpoint, or replaces the one of the same url; two secrets sign while one is rotated.
  register({ url, secret, secrets = [secret], events = ['*'] }) {
    const isUrl = typeof url === 'string' && /^https?:\/\/[^\s/]+/.test(url);
    const areTexts = (list) =>
      Array.isArray(list)
      && list.length > 0
      && list.every((each) => typeof each === 'string' && each);
    if (!isUrl || !areTexts(secrets) || !areTexts(events))
      throw new TypeError('an endpoint is {url, secret | secrets: […], events?: […]}');
    const endpoint = this.#endpoints.get(url) ?? {
      id: newId('we'),
      url,
      active: 0,
      queue: [],
      next: 0,
    };
    this.#endpoints.set(url, Object.assign(endpoint, { secrets, events }));
    return { id: endpoint.id };
  }

  /// Drops all endpoints, and with them what was still to be sent.
  clear() {
    for (const endpoint of this.#endpoints.values()) endpoint.queue = [];
    this.#endpoints.clear();
    this.#open.clear();
    this.#held = [];
  }

  configure(options) {
    Object.assign(this.options, options);
  }

  get log() {
    return this.#log;
  }
  forget() {
    this.#log = [];
  }

  /// `open` deliveries have neither succeeded nor been given up or dropped.
  get summary() {
    const all = [...this.#open.values()].flat();
    const of = (state) => all.filter((each) => each.state === state).length;
    return { ...this.#counts, open: of('open'), givenUp: of('given up'), dropped: of('dropped') };
  }

  #publish(event) {
    const wanted = [...this.#endpoints.values()].filter(({ events }) =>
      events.some((each) => matchesType(each, event.type)),
    );
    if (wanted.length === 0) return;
    event.pending_webhooks = wanted.length;
    // The bytes are the same at every endpoint and every attempt.
    const body = JSON.stringify(event, null, 2);
    const deliveries = wanted.map((endpoint) => ({
      event,
      body,
      endpoint,
      attempts: 0,
      state: 'open',
    }));
    this.#open.set(event.id, [...(this.#open.get(event.id) ?? []), ...deliveries]);
    for (const delivery of deliveries) this.#schedule(delivery);
  }

  /// Sends the event anew to every endpoint that has not taken it.
  redeliver(id) {
    for (const delivery of this.#open.get(id) ?? []) {
      if (delivery.state === 'open') continue;
      Object.assign(delivery, { state: 'open', attempts: 0 });
      this.#enqueue(delivery);
    }
  }

  #schedule(delivery) {
    const { drop, delayMs, shuffle } = this.options;
    const isDropped = Array.isArray(drop)
      ? drop.some((each) => matchesType(each, delivery.event.type))
      : Math.random() < drop;
    if (isDropped) delivery.state = 'dropped';
    else if (shuffle) this.#hold(delivery, delayMs);
    else if (delayMs > 0) this.#after(delayMs, () => this.#enqueue(delivery));
    else this.#enqueue(delivery);
  }

  #hold(delivery, delayMs) {
    if (this.#held.push(delivery) > 1) return;
    this.#after(delayMs + SHUFFLE_WINDOW, () => {
      const held = this.#held;
      this.#held = [];
      for (let at = held.length - 1; at > 0; at -= 1) {
        const other = Math.floor(Math.random() * (at + 1));
        [held[at], held[other]] = [held[other], held[at]];
      }
      for (const each of held) this.#enqueue(each);
    });
  }

  #after(ms, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #enqueue(delivery) {
    delivery.endpoint.queue.push(delivery);
    this.#pump(delivery.endpoint);
  }

  #pump(endpoint) {
    while (endpoint.next < endpoint.queue.length && endpoint.active < this.options.concurrency) {
      if (this.#isClosed) return;
      this.#send(endpoint.queue[endpoint.next]);
      endpoint.next += 1;
    }
    if (endpoint.next < 1024 && endpoint.next < endpoint.queue.length) return;
    endpoint.queue = endpoint.queue.slice(endpoint.next);
    endpoint.next = 0;
  }

  #send(delivery, isDuplicate = false) {
    const { event, body, endpoint } = delivery;
    const { skewSeconds, timeoutMs } = this.options;
    const isSecure = endpoint.url.startsWith('https:');
    const attempt = {
      event: event.id,
      type: event.type,
      endpoint: endpoint.url,
      attempt: (delivery.attempts += 1),
      duplicate: isDuplicate,
      at: new Date().toISOString(),
      status: null,
      error: null,
    };
    this.#remember(attempt);
    endpoint.active += 1;
    let isDone = false;
    const done = (outcome) => {
      if (isDone) return;
      isDone = true;
      endpoint.active -= 1;
      Object.assign(attempt, outcome);
      if (this.#isClosed) return;
      if (!isDuplicate) this.#settle(delivery, outcome.status >= 200 && outcome.status < 300);
      this.#pump(endpoint);
    };
    const request = (isSecure ? https : http).request(
      endpoint.url,
      {
        method: 'POST',
        agent: this.#agents[isSecure ? 1 : 0],
        timeout: timeoutMs,
        headers: {
          'Content-Type': 'application/json; charset=utf-8',
          'Content-Length': Buffer.byteLength(body),
          'Stripe-Signature': signPayload(body, endpoint.secrets, this.account.now + skewSeconds),
          'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
        },
      },
      (answer) => {
        answer.resume();
        answer.on('end', () => done({ status: answer.statusCode }));
        answer.on('error', (error) => done({ error: error.message }));
      },
    );
    request.on('timeout', () => request.destroy(new Error('timed out')));
    request.on('error', (error) => done({ error: error.message }));
    request.end(body);
  }

  #settle(delivery, isDelivered) {
    const { event, attempts } = delivery;
    const { retryMs, duplicate } = this.options;
    if (!this.#open.has(event.id)) return;
    if (!isDelivered) {
      this.#counts.failed += 1;
      if (attempts <= retryMs.length)
        this.#after(retryMs[attempts - 1], () => this.#enqueue(delivery));
      else delivery.state = 'given up';
      return;
    }
    this.#counts.succeeded += 1;
    delivery.state = 'succeeded';
    event.pending_webhooks -= 1;
    const left = this.#open.get(event.id).filter((each) => each !== delivery);
    if (left.length > 0) this.#open.set(event.id, left);
    else this.#open.delete(event.id);
    if (Math.random() < duplicate) this.#send(delivery, true);
  }

  #remember(attempt) {
    this.#counts.sent += 1;
    this.#log.push(attempt);
    if (this.#log.length > 2 * REMEMBERED) this.#log = this.#log.slice(-REMEMBERED);
  }

  /// What is to be kept from one start to the next.
  snapshot() {
    return { endpoints: this.endpoints, undelivered: [...this.#open.keys()] };
  }

  restore({ endpoints, undelivered }) {
    for (const endpoint of endpoints) this.register(endpoint);
    for (const id of undelivered) this.#publish(this.account.events.find(id));
  }

  close() {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const agent of this.#agents) agent.destroy();
  }
}

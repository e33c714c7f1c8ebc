import { StripeError, invalid } from './errors.mjs';

/// Answers kept under their key for a day: https://docs.stripe.com/api/idempotent_requests

const KEPT_SECONDS = 86_400;
const LONGEST = 255;

export class Idempotency {
  /// key -> {endpoint, params, at, answer?}, oldest first; without an answer: in flight.
  #entries = new Map();

  constructor(clock) {
    this.clock = clock;
  }

  /// `{answer}` if the request was made before, or `{settle(answer)}`: to be called once, with
  /// undefined if nothing is to be kept. Throws when the key belongs to another request.
  begin(key, endpoint, params) {
    if (key.length > LONGEST)
      throw invalid(`Idempotency-Key must be at most ${LONGEST} characters`);
    this.#forget();
    const known = this.#entries.get(key);
    if (known) return { answer: replay(known, key, endpoint, params) };
    const entry = { endpoint, params, at: this.clock.now };
    this.#entries.set(key, entry);
    return {
      settle: (answer) => {
        if (answer) entry.answer = answer;
        else this.#entries.delete(key);
      },
    };
  }

  #forget() {
    for (const [key, { at, answer }] of this.#entries) {
      if (at > this.clock.now - KEPT_SECONDS) break;
      if (answer) this.#entries.delete(key);
    }
  }

  snapshot() {
    return new Map([...this.#entries].filter(([, { answer }]) => answer));
  }
  restore(entries) {
    this.#entries = entries;
  }
}

function replay(known, key, endpoint, params) {
  const other = `Try using a key other than '${key}' if you meant to execute a different request.`;
  if (known.endpoint !== endpoint) {
    throw conflict(
      400,
      'Keys for idempotent requests can only be used for the same endpoint they were first used for '
        + `('${endpoint}' vs '${known.endpoint}'). ${other}`,
    );
  }
  if (known.params !== params) {
    throw conflict(
      400,
      'Keys for idempotent requests can only be used with the same parameters they were first used '
        + `with. ${other}`,
    );
  }
  if (!known.answer) {
    throw conflict(
      409,
      'There is currently another in-progress request using this Idempotent Key (that probably means '
        + 'you submitted twice, and the other request is still going through).',
      'idempotency_key_in_use',
    );
  }
  return known.answer;
}

const conflict = (status, message, code) =>
  new StripeError(status, message, { type: 'idempotency_error', ...(code && { code }) });

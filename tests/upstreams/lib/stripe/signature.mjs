import { createHmac, timingSafeEqual } from 'node:crypto';

/// The header Stripe-Signature, scheme v1: https://docs.stripe.com/webhooks#verify-manually

const TOLERANCE_SECONDS = 300;

const digest = (payload, secret, time) =>
  createHmac('sha256', secret).update(`${time}.`).update(payload).digest('hex');

/// `t=…,v1=…` for the payload's exact bytes; two secrets, as while one is rotated, give two v1.
export function signPayload(payload, secret, time = Math.floor(Date.now() / 1000)) {
  return [`t=${time}`, ...[secret].flat().map((each) => `v1=${digest(payload, each, time)}`)].join(
    ',',
  );
}

/// Whether any v1 of the header fits, and its time is not too long ago.
export function verify(
  payload,
  header,
  secret,
  { now = Math.floor(Date.now() / 1000), tolerance = TOLERANCE_SECONDS } = {},
) {
  const pairs = header.split(',').map((pair) => pair.split(/=(.*)/s));
  const time = Number(pairs.find(([scheme]) => scheme === 't')?.[1]);
  if (!Number.isInteger(time) || now - time > tolerance) return false;
  const expected = Buffer.from(digest(payload, secret, time));
  return pairs.some(([scheme, value]) => {
    const given = Buffer.from(value ?? '');
    return scheme === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

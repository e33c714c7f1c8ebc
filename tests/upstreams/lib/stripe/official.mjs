import Stripe from 'stripe';

/// The official client for node, speaking to the stand-in: `npm ci` in tests/upstreams installs it.

export { Stripe };

export function officialClient({ url, secretKey }, options = {}) {
  const { hostname: host, port } = new URL(url);
  return new Stripe(secretKey, { host, port, protocol: 'http', telemetry: false, ...options });
}

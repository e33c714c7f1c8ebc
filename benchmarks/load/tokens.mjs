// Signs access tokens for many users with the service's own key, as the service would.
import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { promisify } from 'node:util';

const signAsync = promisify(sign); // on libuv's threads: an RSA signature takes a millisecond
const digests = { RS256: 'RSA-SHA256', EdDSA: null };

export function claimsOf(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
}

/**
 * Returns an async function user id -> token with the header of `sample`, its claims but for those
 * that belong to one person or one token, and the signature of the key in `pem`.
 */
export function signer(sample, pem) {
  const [header] = sample.split('.');
  const { alg } = JSON.parse(Buffer.from(header, 'base64url'));
  if (!(alg in digests)) throw new Error(`cannot sign ${alg}`);
  const key = createPrivateKey(pem);
  const { email, ...claims } = claimsOf(sample);
  return async subject => {
    const own = { ...claims, sub: subject, jti: randomUUID() };
    const payload = `${header}.${Buffer.from(JSON.stringify(own)).toString('base64url')}`;
    const signature = await signAsync(digests[alg], Buffer.from(payload), key);
    return `${payload}.${signature.toString('base64url')}`;
  };
}

// API keys: verifications by two services, each with a key and an address of its own.
import { load } from './measure.mjs';
import { createProject } from './schema.mjs';
import { claimsOf } from './tokens.mjs';

export const keySettings = { BINNACLE_HTTP_TRUSTED_PROXIES: '127.0.0.1' };

/** A key for each of these users; the bodies that ask whether it is good. */
export async function benchKeys(service, tokens) {
  const bodies = [];
  for (const token of tokens) {
    const project = await createProject(service.postgres, claimsOf(token).sub);
    const made = await fetch(`${service.url}/dashboard/projects/${project}/api-keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'bench', scopes: ['orders:read', 'orders:write'] }),
    });
    if (made.status !== 201) throw new Error(`a key was answered ${made.status}: ${await made.text()}`);
    const { clientId, clientSecret } = (await made.json()).data;
    bodies.push(JSON.stringify({ clientId, clientSecret, scope: 'orders:read' }));
  }
  return bodies;
}

export const verify = (service, settings) => load(service, { path: '/auth/verify-key', ...settings });

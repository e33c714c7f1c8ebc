/// What tests of the developer surface have in common.
import { createHash, randomBytes } from 'node:crypto';
import { expect, subjectOf } from './harness.mjs';

export const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
export const SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
export const refusal = (code, message) => ({ error: { code, message } });

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
export const ulid = () => `01${[...randomBytes(24)].map((b) => ALPHABET[b % 32]).join('')}`;

/// A developer with a project, put into the database; {token, id, project, keys}.
export async function developer(service, email) {
  const token = await service.token(email);
  const id = subjectOf(token), project = ulid();
  service.sql(`INSERT INTO developer_projects (id, owner_id, name, created_at, updated_at)
    VALUES ('${project}', '${id}', 'a project', now(), now())`);
  return { token, id, project, keys: `/dashboard/projects/${project}/api-keys` };
}

/// A new API key, as it is shown once.
export async function newKey(service, { token, keys }, body = { name: 'a key' }) {
  return expect(await service.call('POST', keys, { token, body }), 201).json.data;
}

export const verify = (service, { clientId, clientSecret }, more = {}, options = {}) =>
  service.call('POST', '/auth/verify-key', { ...options, body: { clientId, clientSecret, ...more } });

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

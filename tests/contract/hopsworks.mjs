/// Binnacle with the stand-in for Hopsworks beside it.
import assert from 'node:assert/strict';
import { startHopsworks } from '../upstreams/hopsworks.mjs';
import { call, expect, subjectOf, until } from './harness.mjs';

class StandIn {
  constructor(server) { Object.assign(this, { server, deployment: server.deployment }); }
  async command(method, path, body) {
    const answer = await call(this.server.control, method, path, body === undefined ? {} : { body });
    assert.ok(answer.status < 300, `stand-in ${method} ${path}: ${answer.text}`);
    return answer.json;
  }
  fail(...faults) { return this.command('POST', '/faults', faults); }
  recover() { return this.command('DELETE', '/faults'); }
  forget() { return this.command('DELETE', '/requests'); }
  /// What was asked since `forget`: "POST /admin/users".
  async requests() {
    return (await this.command('GET', '/requests')).map(({ method, url }) =>
      `${method} ${url.split('?')[0].replace('/hopsworks-api/api', '')}`);
  }
  user(email) { return this.deployment.users.find((user) => user.email === email); }
  close() { return this.server.close(); }
}

export async function startStandIn(options) { return new StandIn(await startHopsworks(options)); }

/// A cluster whose Hopsworks is the stand-in; answers its id.
export async function addCluster(service, admin, hopsworks, name, more = {}) {
  const made = expect(await service.call('POST', '/api/admin/clusters', { token: admin, body: {
    name, api_url: hopsworks.server.url, api_key: hopsworks.server.apiKey, ...more } }), 201);
  return made.json.cluster.id;
}

/// A user on the cluster, with their account at Hopsworks; {id, token, email}.
export async function addUser(service, cluster, email, more) {
  const user = await assignUser(service, cluster, email, more);
  await inLine(service, user.id);
  return user;
}

/// As above, but Hopsworks may not have been told yet.
export async function assignUser(service, cluster, email, { billingMode = 'prepaid', owner } = {}) {
  const token = await service.token(email);
  const id = subjectOf(token);
  service.sql(`UPDATE users SET billing_mode = '${billingMode}'
    ${owner ? `, account_owner_id = '${owner}'` : ''} WHERE id = '${id}';
    INSERT INTO user_hopsworks_assignments (user_id, cluster_id, assigned_at)
    VALUES ('${id}', '${cluster}', now())`);
  return { id, token, email };
}

/// Hopsworks has been told of everything.
export const allInLine = (service) => until('all accounts are in line', () =>
  service.sql('SELECT count(*) FROM hopsworks_outbox')[0][0] === '0');
/// Hopsworks has been told of everything about the user.
export const inLine = (service, id) => until(`the account of ${id} is in line`, () =>
  service.sql(`SELECT count(*) FROM hopsworks_outbox WHERE user_id = '${id}'`)[0][0] === '0');

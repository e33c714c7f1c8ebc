/// However often the service dies and whatever Hopsworks does meanwhile: in the end the account of a
/// user is what the last commit says, and there is one of it.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { command } from '../upstreams/lib/testing.mjs';
import { startHopsworks } from '../upstreams/hopsworks.mjs';
import { eventually, installation } from './harness.mjs';

const FAULTS = [
  { kind: 'hang' }, { kind: 'reset-after' }, { kind: 'reset' }, { kind: 'status', status: 500 },
];

describe('an account at Hopsworks', { timeout: 300_000 }, () => {
  it('is what the last commit says, though the service is killed while it tells', async (test) => {
    const hopsworks = await startHopsworks();
    test.after(() => hopsworks.close());
    const fault = (method, body) => command(`${hopsworks.control}/faults`, method, body);
    const asked = async () => (await command(`${hopsworks.control}/requests`, 'GET')).body.length;
    const home = installation(test);
    let service = await home.serve();
    const { cookie } = await home.admin(service);
    const made = await service.call('POST', '/api/admin/clusters', { headers: { cookie },
      body: { name: 'harbour', api_url: hopsworks.url, api_key: hopsworks.apiKey } });
    assert.equal(made.status, 201, made.text);
    const { id } = made.json.cluster;
    home.sql(`INSERT INTO users (id, email, billing_mode, created_at, updated_at)
      VALUES ('ana', 'ana@example.com', 'prepaid', now(), now())`);

    /// Commits each status in turn, and kills the service while it tells Hopsworks so.
    const change = async (...statuses) => {
      await fault('POST', FAULTS.map((each) => ({ ...each, times: 1 })));
      for (const status of statuses) {
        const before = await asked();
        home.sql(`UPDATE users SET status = '${status}' WHERE id = 'ana'`);
        await eventually('it begins to tell', async () => (await asked()) > before ||
          home.sql('SELECT count(*) FROM hopsworks_outbox') === '0');
        await service.stop('SIGKILL');
        service = await home.serve();
        // What the dead one held is free when its lease is over.
        home.sql('UPDATE hopsworks_outbox SET next_attempt_at = now()');
      }
      await fault('DELETE');
      await eventually('nothing is left to tell', () => {
        home.sql('UPDATE hopsworks_outbox SET next_attempt_at = now() WHERE holder IS NULL');
        return home.sql('SELECT count(*) FROM hopsworks_outbox') === '0';
      }, { every: 500 });
      assert.equal(hopsworks.deployment.users.length, 1);
      return hopsworks.deployment.users[0];
    };

    home.sql(`INSERT INTO user_hopsworks_assignments (user_id, cluster_id, assigned_at)
      VALUES ('ana', '${id}', now())`);
    const account = await change('suspended', 'active');
    assert.deepEqual([account.status, account.maxNumProjects], [2, 5]);
    assert.equal((await change('suspended', 'active', 'suspended')).status, 3);
    assert.equal(home.sql('SELECT hopsworks_user_id FROM user_hopsworks_assignments'), `${account.id}`);
  });
});

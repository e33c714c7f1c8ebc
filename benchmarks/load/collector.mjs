// Books many namespace-hours through `binnacle collect` and copies the same rows into a bare table.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startOpenCost } from '../../tests/upstreams/opencost.mjs';
import { median } from './measure.mjs';
import { startReplay } from './replay.mjs';
import { assignProjects, copyHours, countHours } from './schema.mjs';
import { claimsOf } from './tokens.mjs';

const hour = 3_600_000;
const namespaceCount = 500;
const projectOwners = 50;

/** Registers the stand-in as a cluster, as an admin would; returns the cluster's id. */
async function registerCluster(service, kubeconfig, apiUrl) {
  const token = await service.token('bench-admin@example.org', { admin: true });
  const call = async (path, body) => {
    const answer = await service.request(path, { token, method: 'POST', body });
    if (answer.status >= 300)
      throw new Error(`POST ${path} answered ${answer.status}: ${answer.body}`);
    return JSON.parse(answer.body);
  };
  const { cluster } = await call('/api/admin/clusters', {
    name: 'bench',
    api_url: apiUrl,
    api_key: 'unused',
    max_users: 1000,
  });
  await call('/api/admin/clusters/update-kubeconfig', { clusterId: cluster.id, kubeconfig });
  return cluster.id;
}

/** Returns {rows, seconds, copySeconds}: the rows of one round and the medians over all rounds. */
export async function measureCollector(service, { rows, rounds }, workDir, say) {
  const namespaces = Array.from(
    { length: Math.min(namespaceCount, rows) },
    (_, n) => `bench-${String(n).padStart(4, '0')}`,
  );
  const hours = Math.ceil(rows / namespaces.length);
  const state = join(workDir, 'opencost');
  const standIn = await startOpenCost({ state, namespaces });
  const replay = await startReplay(standIn.url, state);
  try {
    await service.start({ BINNACLE_COLLECTOR_BACKFILL_HOURS: '0' });
    const { postgres } = service;
    const kubeconfig = readFileSync(standIn.kubeconfig, 'utf8').replaceAll(standIn.url, replay.url);
    const cluster = await registerCluster(service, kubeconfig, replay.url);
    const owners = [];
    for (let n = 0; n < projectOwners; ++n)
      owners.push(claimsOf(await service.token(`bench-owner-${n}@example.org`)).sub);
    await assignProjects(postgres, cluster, namespaces, owners);

    const newest = Math.floor(Date.now() / hour) * hour - 24 * hour;
    const collected = [],
      copied = [];
    for (let round = 0; round < rounds; ++round) {
      // Every round books hours that were never booked; a second booking of the same hours would
      // replace rows.
      const [from, to] = [newest - (round + 1) * hours * hour, newest - round * hours * hour].map(
        time => new Date(time).toISOString().replace('.000Z', 'Z'),
      );
      replay.clear();
      // fills the replay
      await service.command(['collect', '--from', from, '--to', to, '--dry-run'], { seconds: 900 });
      const asked = replay.forwarded;
      const began = performance.now();
      await service.command(['collect', '--from', from, '--to', to], { seconds: 900 });
      collected.push((performance.now() - began) / 1000);
      if (replay.forwarded > asked)
        say(
          "  note: the timed run asked for windows that the dry run had not: the stand-in's time is in it",
        );
      const booked = await countHours(postgres, from, to);
      if (booked !== hours * namespaces.length)
        throw new Error(`collect booked ${booked} rows instead of ${hours * namespaces.length}`);
      copied.push(await copyHours(postgres, from, to, join(workDir, 'hours.copy')));
      say(
        `  round ${round + 1}/${rounds}  collect ${collected.at(-1).toFixed(2)} s, COPY ${copied.at(-1).toFixed(2)} s`,
      );
    }
    await service.stop();
    return {
      rows: hours * namespaces.length,
      seconds: median(collected),
      copySeconds: median(copied),
    };
  } finally {
    await replay.close();
    await standIn.close();
  }
}

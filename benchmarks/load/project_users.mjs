// The users page of a project with a million users: any page, any term.
import { performance } from 'node:perf_hooks';
import { percentile } from './measure.mjs';
import { cpuSeconds, residentBytes } from './processes.mjs';
import { claimsOf } from './tokens.mjs';

const project = '01KAQ8Z3T3M6R8E0J7XKQ3C6ZV';
const limit = 50;
const domains = ['example.com', 'gmail.com', 'mail.acme.io', 'example.org'];

/** `count` users with addresses such as "user.0004711@gmail.com"; nine of ten have logged in. */
async function seed(postgres, owner, count) {
  await postgres.sql(
    `INSERT INTO developer_projects (id, owner_id, name, created_at, updated_at)
       VALUES ('${project}', '${owner}', 'Million', now(), now());
     INSERT INTO project_users (id, project_id, email, last_login_at, last_auth_provider, login_count, created_at)
       SELECT '01' || upper(lpad(to_hex(n), 24, '0')), '${project}',
         'user.' || lpad((n::bigint * 7919 % 10000019)::text, 7, '0') || '@' || (ARRAY['${domains.join("','")}'])[1 + n % 4],
         CASE WHEN n % 10 > 0 THEN now() - make_interval(secs => (n::bigint * 104729 % 31536000)::int) END,
         CASE WHEN n % 10 > 0 THEN 'email' END, n % 100, now() - interval '1 year'
       FROM generate_series(1, ${count}) n;
     VACUUM ANALYZE project_users;`,
    { seconds: 600 },
  );
}

/** Terms of three characters and more: some in every address, some in one, some in none. */
function term(count) {
  const any = Math.floor(Math.random() * 10_000_019).toString().padStart(7, '0');
  const kinds = ['com', 'user', '@gmail.com', 'example', '.io', 'nosuchterm', any, any.slice(0, 3), any.slice(0, 5), `${any.slice(-2)}@`];
  return kinds[count % kinds.length];
}

/**
 * {first, bytes, pages, searches, deepSearches, afterLogin}: milliseconds of the first page, bytes it
 * leaves behind, and of `requests` each, one at a time, {p50, p99, cpu} in milliseconds; `cpu` is what
 * the service spent on one.
 */
export async function measureProjectUsers(service, count, requests) {
  await service.start();
  const token = await service.token('owner@example.org');
  await seed(service.postgres, claimsOf(token).sub, count);
  const ask = async query => {
    const began = performance.now();
    const answer = await service.request(`/dashboard/projects/${project}/users?${query}`, { token });
    const took = performance.now() - began;
    if (answer.status !== 200) throw new Error(`${query}: ${answer.status} ${answer.body}`);
    return { took, ...JSON.parse(answer.body) };
  };
  const before = residentBytes(service.pid);
  const first = (await ask(`limit=${limit}`)).took;
  const bytes = residentBytes(service.pid) - before;
  const last = Math.ceil(count / limit);
  const series = async (query, prepare) => {
    const times = [];
    const spent = cpuSeconds(service.pids(), [service.databasePid]);
    for (let i = 0; i < requests; ++i) {
      await prepare?.(i);
      times.push((await ask(query(i))).took);
    }
    const cpu = (1000 * (cpuSeconds(service.pids(), [service.databasePid]) - spent)) / requests;
    return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), cpu };
  };
  const anyPage = () => `limit=${limit}&page=${1 + Math.floor(Math.random() * last)}`;
  const pages = await series(anyPage);
  const searches = await series(i => {
    const found = `search=${encodeURIComponent(term(i))}&limit=${limit}`;
    return `${found}&page=${1 + Math.floor(Math.random() * 3)}`;
  });
  const deepSearches = await series(() => `search=com&limit=${limit}&page=${1 + Math.floor(Math.random() * (last / 2))}`);
  const afterLogin = await series(anyPage, i =>
    i < 100 &&
    service.postgres.sql(`UPDATE project_users SET last_login_at = now(), login_count = login_count + 1
      WHERE project_id = '${project}' AND id = '01' || upper(lpad(to_hex(${1 + Math.floor(Math.random() * count)}), 24, '0'))`),
  );
  const { meta } = await ask(`search=com&limit=${limit}`);
  const exact = Number(await service.postgres.sql(
    `SELECT count(*) FROM project_users WHERE email LIKE '%com%' AND blocked_at IS NULL`));
  if (meta.total !== exact) throw new Error(`${meta.total} found of ${exact}`);
  await service.stop();
  return { first, bytes, pages, searches, deepSearches, afterLogin };
}

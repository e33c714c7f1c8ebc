// All the benchmark knows of the service's tables; persistence/migrations/ decides. Rows are written
// directly where the service's own way (logins, an hour's collection) would take too long.

/** Inserts `count` users and returns their ids; `like` is a user's id, whose form is kept. */
export async function createUsers(postgres, count, like) {
  const prefix = /^[a-z]+_/.exec(like)?.[0] ?? '';
  await postgres.sql(`
    insert into users (id, email, name, created_at, updated_at)
    select '${prefix}BENCH' || lpad(n::text, 21, '0'), 'bench-user-' || n || '@example.org',
           'Bench ' || n, now(), now()
    from generate_series(1, ${count}) n
    on conflict do nothing;
    analyze users`);
  const id = n => `${prefix}BENCH${String(n).padStart(21, '0')}`;
  return Array.from({ length: count }, (_, n) => id(n + 1));
}

/**
 * Gives a user three projects on a cluster of its own, with usage on every day of the month so far.
 * Users seeded in the same second get answers of the same bytes.
 */
export async function seedUsage(postgres, user) {
  await postgres.sql(`
    begin;
    set local timezone = 'UTC';
    insert into clusters (id, name, api_url, status, created_at, updated_at)
    values ('bench-${user}', 'bench-${user}', 'https://127.0.0.1:1', 'inactive', now(), now());
    insert into user_projects
      (cluster_id, namespace, user_id, name, last_seen_at, created_at, updated_at)
    select 'bench-${user}', name, '${user}', name, now(), now(), now()
    from unnest(array['churn-modeling', 'fraud-detection', 'recommender']) name;
    insert into usage_project_daily
      (user_id, day, cluster_id, namespace, cpu_hours, gpu_hours, ram_gb_hours, online_gb_hours,
       offline_gb_hours, online_gb, offline_gb, cpu_efficiency, ram_efficiency, upstream_cost,
       credits, compute_cost, storage_cost, updated_at)
    select user_id, day, cluster_id, namespace, 12.4, 0.5, 3.2, 240, 120, 10, 5.12, 0.82, 0.71, 4.5,
           11.36, 3.976, 0.171667, date_trunc('second', now())
    from user_projects, generate_series(date_trunc('month', now()), now(), interval '1 day') day
    where user_id = '${user}';
    insert into usage_daily
      (user_id, day, opencost_cpu_hours, opencost_gpu_hours, opencost_ram_gb_hours,
       opencost_total_cost, online_storage_gb_hours, offline_storage_gb_hours, online_storage_gb,
       offline_storage_gb, total_credits, compute_cost, storage_cost, created_at, updated_at)
    select user_id, day, sum(cpu_hours), sum(gpu_hours), sum(ram_gb_hours), sum(upstream_cost),
           sum(online_gb_hours), sum(offline_gb_hours), sum(online_gb), sum(offline_gb),
           sum(credits), sum(compute_cost), sum(storage_cost), now(), max(updated_at)
    from usage_project_daily where user_id = '${user}' group by user_id, day;
    insert into usage_monthly
    select m.*, d.online_storage_gb, d.offline_storage_gb, (
      select json_agg(json_build_array(
        namespace, namespace, cpu_hours::text, gpu_hours::text, ram_gb_hours::text,
        online_gb_hours::text, offline_gb_hours::text, credits::text, compute_cost::text,
        storage_cost::text, online_gb::text, offline_gb::text, cpu_efficiency::text,
        ram_efficiency::text, updated_at::text) order by namespace)
      from usage_project_daily p where p.user_id = m.user_id and p.day = m.newest_day)
    from (
      select user_id, date_trunc('month', day)::date, sum(opencost_cpu_hours),
             sum(opencost_gpu_hours), sum(opencost_ram_gb_hours), sum(online_storage_gb_hours),
             sum(offline_storage_gb_hours), sum(total_credits), sum(compute_cost),
             sum(storage_cost), max(online_storage_gb), max(offline_storage_gb),
             max(online_storage_gb + offline_storage_gb), max(updated_at), max(day) as newest_day
      from usage_daily where user_id = '${user}' group by 1, 2) m
    join usage_daily d on d.user_id = m.user_id and d.day = m.newest_day;
    commit;
    analyze usage_project_daily, usage_daily, usage_monthly, user_projects`);
}

/** Gives the namespaces of a cluster to the owners, in turn. */
export async function assignProjects(postgres, cluster, namespaces, owners) {
  const rows = namespaces.map(
    (name, n) => `('${cluster}', '${name}', '${owners[n % owners.length]}')`,
  );
  await postgres.sql(`
    insert into user_projects
      (cluster_id, namespace, user_id, name, last_seen_at, created_at, updated_at)
    select cluster_id, namespace, user_id, namespace, now(), now(), now()
    from (values ${rows.join(',')}) given (cluster_id, namespace, user_id);
    analyze user_projects`);
}

const hoursBetween = (from, to) => `from usage_hourly where hour >= '${from}' and hour < '${to}'`;

export async function countHours(postgres, from, to) {
  return Number(await postgres.sql(`select count(*) ${hoursBetween(from, to)}`));
}

/**
 * Copies the booked rows of a range through `file` into a table without index or constraint;
 * returns the seconds that COPY into the table took.
 */
export async function copyHours(postgres, from, to, file) {
  const output = await postgres.sql(
    [
      'drop table if exists bench_bare;',
      'create table bench_bare as select * from usage_hourly with no data;',
      `\\copy (select * ${hoursBetween(from, to)}) to '${file}'`,
      '\\timing on',
      `\\copy bench_bare from '${file}'`,
      '\\timing off',
      'drop table bench_bare;',
    ].join('\n'),
  );
  return Number(/Time: ([\d.]+) ms/.exec(output)[1]) / 1000;
}

const ordersLike = prefix => `from assinante_orders where id like '${prefix}%'`;

export async function countOrders(postgres, prefix) {
  return Number(await postgres.sql(`select count(*) ${ordersLike(prefix)}`));
}

/**
 * Copies orders through `file` into a table without index or constraint, and into one that has all
 * of the orders' own; returns the seconds that each COPY took.
 */
export async function copyOrders(postgres, prefix, file) {
  const output = await postgres.sql(
    [
      'drop table if exists bench_bare, bench_like;',
      'create table bench_bare as select * from assinante_orders with no data;',
      'create table bench_like (like assinante_orders including all, foreign key (subscription_id, user_id) '
        + 'references assinante_subscriptions (id, user_id));',
      `\\copy (select * ${ordersLike(prefix)}) to '${file}'`,
      '\\timing on',
      `\\copy bench_bare from '${file}'`,
      `\\copy bench_like from '${file}'`,
      '\\timing off',
      'drop table bench_bare, bench_like;',
    ].join('\n'),
  );
  const [bare, like] = [...output.matchAll(/Time: ([\d.]+) ms/g)].map(([, ms]) => Number(ms) / 1000);
  return { bare, like };
}

/** Gives a developer a project; its id. */
export async function createProject(postgres, owner) {
  const id = `01${String(Date.now()).padStart(24, '0')}`;
  await postgres.sql(`
    insert into developer_projects (id, owner_id, name, created_at, updated_at)
    values ('${id}', '${owner}', 'bench', now(), now())`);
  return id;
}

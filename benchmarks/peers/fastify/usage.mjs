// The month's totals and today's projects of one user in one statement, and the answer made of them.

/** Prepared under its name on each connection. The session's time zone is UTC. */
export const monthOfUser = {
  name: 'month_of_user',
  text: `
    select coalesce(sum(opencost_cpu_hours), 0) as cpu,
           coalesce(sum(opencost_gpu_hours), 0) as gpu,
           coalesce(sum(opencost_ram_gb_hours), 0) as ram,
           coalesce(max(online_storage_gb + offline_storage_gb), 0) as storage,
           max(updated_at) as updated,
           to_char(now(), 'YYYY-MM') as month,
           (select json_object_agg(p.namespace, json_build_object(
              'name', coalesce(u.name, p.namespace), 'cpuHours', p.cpu_hours,
              'gpuHours', p.gpu_hours, 'ramGBHours', p.ram_gb_hours,
              'onlineStorageGB', p.online_gb, 'offlineStorageGB', p.offline_gb,
              'cpuEfficiency', p.cpu_efficiency, 'ramEfficiency', p.ram_efficiency,
              'lastUpdated', to_char(p.updated_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
              order by p.namespace)
            from usage_project_daily p
            left join user_projects u using (cluster_id, namespace, user_id)
            where p.user_id = $1 and p.day = current_date) as projects
    from usage_daily
    where user_id = $1 and day between date_trunc('month', now())::date and current_date`,
};

export function toAnswer(row) {
  return {
    cpuHours: Number(row.cpu),
    gpuHours: Number(row.gpu),
    ramGbHours: Number(row.ram),
    storageGB: Number(row.storage),
    featureGroups: 0,
    modelDeployments: 0,
    apiCalls: 0,
    featureStoreApiCalls: 0,
    modelInferenceCalls: 0,
    currentMonth: row.month,
    lastUpdate: row.updated?.toISOString() ?? null,
    projectBreakdown: row.projects ?? {},
  };
}

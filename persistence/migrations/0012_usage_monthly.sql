-- A user's month: sums over usage_daily, and the projects of its newest day, so that the summary a
-- dashboard asks for all the time is one row. Recomputed whenever one of its days is, and never
-- added to.
CREATE TABLE usage_monthly (
  user_id text COLLATE "C" NOT NULL,
  month date NOT NULL, -- its first day
  cpu_hours numeric(38, 12) NOT NULL,
  gpu_hours numeric(38, 12) NOT NULL,
  ram_gb_hours numeric(38, 12) NOT NULL,
  online_gb_hours numeric(38, 12) NOT NULL,
  offline_gb_hours numeric(38, 12) NOT NULL,
  credits numeric(38, 12) NOT NULL,
  compute_cost numeric(38, 12) NOT NULL,
  storage_cost numeric(38, 12) NOT NULL,
  most_online_gb numeric(38, 12) NOT NULL, -- largest of a day
  most_offline_gb numeric(38, 12) NOT NULL,
  most_storage_gb numeric(38, 12) NOT NULL, -- online and offline together
  updated_at timestamptz NOT NULL,
  newest_day date NOT NULL,
  online_gb numeric(38, 12) NOT NULL, -- of the newest day
  offline_gb numeric(38, 12) NOT NULL,
  projects json NOT NULL, -- of the newest day; an array per project, as usage_months.cpp makes it
  PRIMARY KEY (user_id, month)
);

INSERT INTO usage_monthly
SELECT m.*, newest.online_storage_gb, newest.offline_storage_gb, (
  SELECT coalesce(json_agg(json_build_array(
    coalesce(n.name, p.namespace), p.namespace, p.cpu_hours::text, p.gpu_hours::text,
    p.ram_gb_hours::text, p.online_gb_hours::text, p.offline_gb_hours::text, p.credits::text,
    p.compute_cost::text, p.storage_cost::text, p.online_gb::text, p.offline_gb::text,
    p.cpu_efficiency::text, p.ram_efficiency::text, p.updated_at::text)
    ORDER BY coalesce(n.name, p.namespace), p.namespace, p.cluster_id), '[]')
  FROM usage_project_daily p
  LEFT JOIN user_projects n ON n.cluster_id = p.cluster_id AND n.namespace = p.namespace
    AND n.user_id = p.user_id
  WHERE p.user_id = m.user_id AND p.day = m.newest_day)
FROM (
  SELECT user_id, date_trunc('month', day)::date, sum(opencost_cpu_hours),
    sum(opencost_gpu_hours), sum(opencost_ram_gb_hours), sum(online_storage_gb_hours),
    sum(offline_storage_gb_hours), sum(total_credits), sum(compute_cost), sum(storage_cost),
    max(online_storage_gb), max(offline_storage_gb),
    max(online_storage_gb + offline_storage_gb), max(updated_at), max(day) AS newest_day
  FROM usage_daily GROUP BY 1, 2
) AS m
JOIN usage_daily newest ON newest.user_id = m.user_id AND newest.day = m.newest_day;

-- Usage. usage_hourly is the truth; usage_project_daily and usage_daily are sums of it, recomputed
-- whenever hours are booked and never added to. 12 decimals, as the service's decimal has: sums of
-- them are exact.

-- What one namespace used in one hour. NULL is "unknown", not zero; it costs nothing until known.
-- No foreign keys: only book_usage writes here, with a cluster it has looked up and owners taken
-- from user_projects, and a check per row and key would double the price of booking.
CREATE TABLE usage_hourly (
  cluster_id text COLLATE "C" NOT NULL, -- keys compared byte by byte
  hour timestamptz NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  user_id text,              -- NULL: nobody's yet
  complete boolean NOT NULL, -- from a whole hour, everything known
  cpu_hours numeric(38, 12),
  gpu_hours numeric(38, 12),
  ram_gb_hours numeric(38, 12),
  online_gb_hours numeric(38, 12),
  offline_gb_hours numeric(38, 12),
  cpu_efficiency numeric(38, 12),
  ram_efficiency numeric(38, 12),
  upstream_cost numeric(38, 12), -- OpenCost's own figure, for comparison only
  credits numeric(38, 12) NOT NULL,
  compute_cost numeric(38, 12) NOT NULL,
  storage_cost numeric(38, 12) NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT usage_hourly_not_negative CHECK (
    cpu_hours >= 0 AND gpu_hours >= 0 AND ram_gb_hours >= 0 AND online_gb_hours >= 0
    AND offline_gb_hours >= 0),
  -- Hours before namespaces: a booking reads and recomputes whole hours and days of a cluster.
  PRIMARY KEY (cluster_id, hour, namespace)
);
-- Attribution of what was booked before a namespace had an owner, and the list of such namespaces.
CREATE INDEX usage_hourly_unowned ON usage_hourly (cluster_id, namespace, hour)
  WHERE user_id IS NULL;

-- A day of one user's namespace; the breakdown of usage_daily. Derived, so without keys as well.
CREATE TABLE usage_project_daily (
  user_id text NOT NULL,
  day date NOT NULL,
  cluster_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  cpu_hours numeric(38, 12) NOT NULL,
  gpu_hours numeric(38, 12) NOT NULL,
  ram_gb_hours numeric(38, 12) NOT NULL,
  online_gb_hours numeric(38, 12) NOT NULL,
  offline_gb_hours numeric(38, 12) NOT NULL,
  -- What was stored at the end of the day, in GB: the GB-hours of the newest hour of the day in
  -- which they are known (what an hour stored, times one hour), a whole hour before a partial one.
  online_gb numeric(38, 12) NOT NULL,
  offline_gb numeric(38, 12) NOT NULL,
  cpu_efficiency numeric(38, 12), -- means over the hours in which they are known
  ram_efficiency numeric(38, 12),
  upstream_cost numeric(38, 12) NOT NULL,
  credits numeric(38, 12) NOT NULL,
  compute_cost numeric(38, 12) NOT NULL,
  storage_cost numeric(38, 12) NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, day, cluster_id, namespace) -- a user's day is one range
);
CREATE INDEX usage_project_daily_by_day ON usage_project_daily (day); -- the admins' view of a day

-- A user's day: the sums of that day's projects. Named as in the contract's data model.
CREATE TABLE usage_daily (
  id bigint GENERATED ALWAYS AS IDENTITY UNIQUE, -- meter identifiers: {id}:{meter}:{revision}
  user_id text NOT NULL REFERENCES users,
  day date NOT NULL,
  account_owner_id text REFERENCES users, -- the user's when the day was first booked
  opencost_cpu_hours numeric(38, 12) NOT NULL,
  opencost_gpu_hours numeric(38, 12) NOT NULL,
  opencost_ram_gb_hours numeric(38, 12) NOT NULL,
  opencost_total_cost numeric(38, 12) NOT NULL, -- OpenCost's own figure, never billed
  online_storage_gb_hours numeric(38, 12) NOT NULL,
  offline_storage_gb_hours numeric(38, 12) NOT NULL,
  online_storage_gb numeric(38, 12) NOT NULL,
  offline_storage_gb numeric(38, 12) NOT NULL,
  total_credits numeric(38, 12) NOT NULL,
  compute_cost numeric(38, 12) NOT NULL,
  storage_cost numeric(38, 12) NOT NULL,
  total_cost numeric(38, 12) GENERATED ALWAYS AS (compute_cost + storage_cost) STORED,
  -- Raised, and the report taken back, whenever what is billed changes.
  revision bigint NOT NULL DEFAULT 0,
  reported_to_stripe boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, day)
);
CREATE INDEX usage_daily_by_day ON usage_daily (day); -- the admins' view of a day; daily reports

-- Which hours of a cluster have been collected, and who is at it.
CREATE TABLE collected_hours (
  cluster_id text NOT NULL REFERENCES clusters,
  hour timestamptz NOT NULL CONSTRAINT collected_hours_whole
    CHECK (mod(extract(epoch FROM hour), 3600) = 0),
  complete boolean NOT NULL DEFAULT false, -- once true, it stays
  collected_at timestamptz,
  holder text,                             -- claimed by, until lease_until
  lease_until timestamptz,
  failure text,                            -- why the last attempt was given back
  PRIMARY KEY (cluster_id, hour)
);
CREATE INDEX collected_hours_by_time ON collected_hours (collected_at); -- the last collection

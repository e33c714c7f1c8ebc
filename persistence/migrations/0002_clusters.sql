-- Clusters, who is on them, and which namespaces belong to whom.

CREATE TABLE clusters (
  id text PRIMARY KEY,
  name text NOT NULL CONSTRAINT clusters_name_key UNIQUE CHECK (name <> ''),
  api_url text NOT NULL,
  api_key_sealed text NOT NULL DEFAULT '',    -- ciphertext; empty: none
  kubeconfig_sealed text NOT NULL DEFAULT '', -- ciphertext; empty: none
  max_users bigint NOT NULL DEFAULT 100 CHECK (max_users >= 0),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'maintenance')),
  region text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE user_hopsworks_assignments (
  user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  cluster_id text NOT NULL REFERENCES clusters,
  assigned_by text NOT NULL DEFAULT '',
  assigned_at timestamptz NOT NULL
);
-- The live count of a cluster's users.
CREATE INDEX assignments_by_cluster ON user_hopsworks_assignments (cluster_id);

-- A namespace may pass from one user to another: each keeps a row, at most one of them is active.
CREATE TABLE user_projects (
  cluster_id text NOT NULL REFERENCES clusters,
  namespace text NOT NULL CHECK (namespace <> ''),
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  name text NOT NULL,
  upstream_id bigint,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
  last_seen_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (cluster_id, namespace, user_id)
);
-- The rule, and how booking finds the owner of a namespace.
CREATE UNIQUE INDEX user_projects_one_owner ON user_projects (cluster_id, namespace)
  WHERE status = 'active';
CREATE INDEX user_projects_by_user ON user_projects (user_id); -- projects_of

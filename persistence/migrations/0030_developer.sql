-- Developers' projects, the people who use them, the projects' API keys, and refresh tokens.

CREATE FUNCTION is_ulid(text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT $1 ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' $$;

CREATE TABLE developer_projects (
  id text PRIMARY KEY CHECK (is_ulid(id)),
  owner_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  name text NOT NULL CHECK (name <> ''),
  description text CHECK (description <> ''),
  allowed_origins text[] NOT NULL DEFAULT '{}', -- empty: every origin
  allowed_providers text[] NOT NULL DEFAULT '{email}',
  user_count bigint NOT NULL DEFAULT 0 CHECK (user_count >= 0), -- rows of project_users
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz -- its users go afterwards, some at a time
);
CREATE INDEX developer_projects_of_owner ON developer_projects (owner_id, created_at DESC, id DESC);
CREATE INDEX developer_projects_deleted ON developer_projects (deleted_at)
  WHERE deleted_at IS NOT NULL;

-- A project knows its users by address. Whoever logs in to one is our user as well, from then on.
CREATE TABLE project_users (
  id text PRIMARY KEY CHECK (is_ulid(id)),
  project_id text NOT NULL REFERENCES developer_projects ON DELETE CASCADE,
  email text NOT NULL CHECK (email = lower(email) AND email <> ''),
  user_id text REFERENCES users ON DELETE SET NULL,
  name text NOT NULL DEFAULT '',
  last_login_at timestamptz,
  last_auth_provider text CHECK (last_auth_provider <> ''),
  login_count bigint NOT NULL DEFAULT 0 CHECK (login_count >= 0),
  blocked_at timestamptz,
  created_at timestamptz NOT NULL,
  -- The transaction that changed the row last: who has read all that the transactions before one
  -- had done asks for the rows changed from that one on (pg_snapshot_xmin), and misses none.
  changed_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CONSTRAINT project_users_email UNIQUE (project_id, email)
);
-- The pages: whoever logged in last comes first.
CREATE INDEX project_users_page ON project_users (project_id, last_login_at DESC NULLS LAST, id)
  WHERE blocked_at IS NULL;
CREATE INDEX project_users_blocked ON project_users (project_id, blocked_at DESC, id)
  WHERE blocked_at IS NOT NULL;
CREATE INDEX project_users_changed ON project_users (project_id, changed_in);
CREATE INDEX project_users_by_user ON project_users (user_id) WHERE user_id IS NOT NULL;

-- Rows that are gone, for who has read them.
CREATE TABLE project_users_removed (
  id text PRIMARY KEY,
  project_id text NOT NULL REFERENCES developer_projects ON DELETE CASCADE,
  changed_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
  removed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX project_users_removed_changed ON project_users_removed (project_id, changed_in);
CREATE INDEX project_users_removed_by_age ON project_users_removed (removed_at); -- the sweep

-- By triggers, so that no statement can forget them.
CREATE FUNCTION mark_project_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed_in := pg_current_xact_id();
  RETURN NEW;
END $$;
CREATE TRIGGER mark_project_user BEFORE UPDATE ON project_users FOR EACH ROW
  EXECUTE FUNCTION mark_project_user();

CREATE FUNCTION count_project_users() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    UPDATE developer_projects p SET user_count = p.user_count + c.n
    FROM (SELECT project_id, count(*) AS n FROM changed GROUP BY project_id) c
    WHERE p.id = c.project_id;
  ELSE
    UPDATE developer_projects p SET user_count = p.user_count - c.n
    FROM (SELECT project_id, count(*) AS n FROM changed GROUP BY project_id) c
    WHERE p.id = c.project_id;
    -- Of a project that is gone itself nobody has read anything.
    INSERT INTO project_users_removed (id, project_id)
    SELECT c.id, c.project_id
    FROM changed c JOIN developer_projects p ON p.id = c.project_id AND p.deleted_at IS NULL;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER count_added_users AFTER INSERT ON project_users
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_project_users();
CREATE TRIGGER count_removed_users AFTER DELETE ON project_users
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_project_users();

CREATE TABLE project_api_keys (
  id text PRIMARY KEY CHECK (is_ulid(id)),
  project_id text NOT NULL REFERENCES developer_projects ON DELETE CASCADE,
  name text NOT NULL CHECK (name <> ''),
  client_id text NOT NULL UNIQUE CHECK (client_id ~ '^pk_[0-9a-f]{32}$'),
  -- Of the whole secret. It has 256 random bits: a slow hash would protect it no better.
  secret_digest bytea NOT NULL CHECK (octet_length(secret_digest) = 32),
  secret_last text NOT NULL CHECK (secret_last ~ '^[0-9a-f]{3,4}$'), -- its last characters
  scopes text[] NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'revoked')),
  revoked_at timestamptz,
  expires_at timestamptz,                                             -- the end of its grace
  rotated_from text REFERENCES project_api_keys ON DELETE SET NULL, -- whose successor it is
  last_used_at timestamptz,
  created_at timestamptz NOT NULL,
  CHECK ((status = 'revoked') = (revoked_at IS NOT NULL))
);
CREATE INDEX project_api_keys_of_project ON project_api_keys (project_id, created_at DESC, id DESC);
CREATE INDEX project_api_keys_rotated ON project_api_keys (rotated_from)
  WHERE rotated_from IS NOT NULL;

-- A login's refresh tokens are a family: each is the successor of the one before.
CREATE TABLE refresh_tokens (
  digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32), -- SHA-256
  family text NOT NULL CHECK (is_ulid(family)),
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  project_id text REFERENCES developer_projects ON DELETE CASCADE, -- NULL: the dashboard
  session_version bigint NOT NULL, -- the user's when it was issued; another one ends it
  issued_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  successor text, -- sealed: whoever comes again in time gets the same
  revoked_at timestamptz,
  CHECK ((used_at IS NULL) = (successor IS NULL))
);
CREATE INDEX refresh_tokens_of_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_of_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_of_project ON refresh_tokens (project_id) WHERE project_id IS NOT NULL;
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at); -- the sweep

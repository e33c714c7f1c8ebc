-- What the clusters' Hopsworks know of our users, and what they still have to be told.

ALTER TABLE clusters ADD COLUMN verify_tls boolean NOT NULL DEFAULT true; -- of its Hopsworks

-- The user's account at their cluster's Hopsworks, as last seen there.
ALTER TABLE user_hopsworks_assignments
  ADD COLUMN hopsworks_user_id bigint,
  ADD COLUMN hopsworks_username text NOT NULL DEFAULT '',
  ADD COLUMN active_projects bigint NOT NULL DEFAULT 0;

-- Accounts that may differ from what they should be: an outbox. What is to be done follows from the
-- user's present state when it is done, so that the last change wins in whatever order it is told.
CREATE TABLE hopsworks_outbox (
  user_id text PRIMARY KEY REFERENCES user_hopsworks_assignments ON DELETE CASCADE,
  revision bigint NOT NULL DEFAULT 1, -- raised by every change
  attempts bigint NOT NULL DEFAULT 0, -- since the last change
  next_attempt_at timestamptz NOT NULL DEFAULT '-infinity', -- held: when the holder is taken for dead
  holder text,
  last_error text
);
CREATE INDEX hopsworks_outbox_due ON hopsworks_outbox (next_attempt_at);

-- By triggers, so that nobody who changes a user can forget it, and none of it outlives a rollback.
CREATE FUNCTION tell_hopsworks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO hopsworks_outbox AS o (user_id)
  SELECT a.user_id FROM user_hopsworks_assignments a
  WHERE a.user_id = CASE TG_TABLE_NAME WHEN 'users' THEN to_jsonb(NEW) ->> 'id'
                                       ELSE to_jsonb(NEW) ->> 'user_id' END
  ON CONFLICT (user_id) DO UPDATE SET revision = o.revision + 1,
    attempts = CASE WHEN o.holder IS NULL THEN 0 ELSE o.attempts END,
    next_attempt_at = CASE WHEN o.holder IS NULL THEN '-infinity' ELSE o.next_attempt_at END;
  RETURN NULL;
END $$;
CREATE TRIGGER tell_hopsworks
  AFTER UPDATE OF status, billing_mode, account_owner_id ON users FOR EACH ROW
  WHEN ((OLD.status, OLD.billing_mode, OLD.account_owner_id)
        IS DISTINCT FROM (NEW.status, NEW.billing_mode, NEW.account_owner_id))
  EXECUTE FUNCTION tell_hopsworks();
CREATE TRIGGER tell_hopsworks
  AFTER INSERT OR UPDATE OF cluster_id ON user_hopsworks_assignments FOR EACH ROW
  EXECUTE FUNCTION tell_hopsworks();
CREATE TRIGGER tell_hopsworks_first
  AFTER INSERT ON subscriptions FOR EACH ROW WHEN (NEW.kind = 'usage')
  EXECUTE FUNCTION tell_hopsworks();
CREATE TRIGGER tell_hopsworks
  AFTER UPDATE OF status ON subscriptions FOR EACH ROW
  WHEN (NEW.kind = 'usage' AND OLD.status <> NEW.status)
  EXECUTE FUNCTION tell_hopsworks();
INSERT INTO hopsworks_outbox (user_id) SELECT user_id FROM user_hopsworks_assignments;

-- Roles that team members were given in their owner's projects.
CREATE TABLE project_member_roles (
  member_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  account_owner_id text REFERENCES users ON DELETE CASCADE,
  cluster_id text NOT NULL REFERENCES clusters,
  project_id bigint NOT NULL, -- Hopsworks'
  project_name text NOT NULL,
  role text NOT NULL CHECK (role IN ('Data owner', 'Data scientist', 'Observer')),
  synced_to_hopsworks boolean NOT NULL DEFAULT false,
  last_sync_at timestamptz,
  sync_error text,
  added_by text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  PRIMARY KEY (member_id, cluster_id, project_id)
);

-- What somebody should look at, until it has healed.
CREATE TABLE health_check_failures (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  email text,
  check_type text NOT NULL CHECK (check_type <> ''),
  error_message text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  resolved_at timestamptz,
  resolution_notes text
);
-- One open failure of a kind per user: a further one is news of the same.
CREATE UNIQUE INDEX health_check_failures_open ON health_check_failures (user_id, check_type)
  WHERE resolved_at IS NULL;

-- What a creator sees on the dashboard beside money.

CREATE TABLE hub_projects (
  id text PRIMARY KEY,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  title text NOT NULL CHECK (title <> ''),
  description text NOT NULL DEFAULT '',
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'completed', 'archived')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX hub_projects_of_user ON hub_projects (user_id, updated_at DESC, id DESC);

CREATE TABLE hub_tasks (
  id text PRIMARY KEY,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  project_id text REFERENCES hub_projects ON DELETE CASCADE, -- NULL: belongs to none
  title text NOT NULL CHECK (title <> ''),
  done_at timestamptz,
  created_at timestamptz NOT NULL
);
CREATE INDEX hub_tasks_of_user ON hub_tasks (user_id);
CREATE INDEX hub_tasks_of_project ON hub_tasks (project_id);

CREATE TABLE hub_notifications (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  source text NOT NULL CHECK (source <> ''), -- what caused it, by which a repetition is known
  type text NOT NULL,
  title text NOT NULL,
  message text NOT NULL,
  read_at timestamptz,
  created_at timestamptz NOT NULL,
  CONSTRAINT hub_notifications_once UNIQUE (user_id, source)
);
CREATE INDEX hub_notifications_of_user ON hub_notifications (user_id, id DESC);

CREATE INDEX audit_log_of_actor ON audit_log (actor, id DESC) WHERE actor IS NOT NULL;

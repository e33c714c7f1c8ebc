-- Rate-limit windows of users and addresses who are not in memory just now.

-- No index but the key, so that saving a window again is a heap-only update; the sweep of expired
-- windows reads the table, which holds short-lived rows only.
CREATE TABLE rate_windows (
  key text PRIMARY KEY,
  state text NOT NULL,
  expires_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Scheduled work: one run at a time over all nodes.

CREATE TABLE timers (
  name text PRIMARY KEY,
  next_due timestamptz NOT NULL,
  holder text,             -- who runs it now, believed until lease_until
  lease_until timestamptz,
  last_started timestamptz,
  last_finished timestamptz,
  last_outcome jsonb
);

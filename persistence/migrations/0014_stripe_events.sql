-- Stripe's events, each once, as they came; and what has become of them.

CREATE TABLE stripe_events (
  id text PRIMARY KEY CHECK (id <> ''), -- Stripe's: a repetition is known by it, for ever
  seq bigint GENERATED ALWAYS AS IDENTITY,
  type text NOT NULL,
  object_key text NOT NULL CHECK (object_key <> ''), -- what is worked on one event at a time
  livemode boolean NOT NULL,
  api_version text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL, -- in Stripe, to the second
  payload text, -- the body, byte for byte; NULL once it is old
  source text NOT NULL CHECK (source IN ('webhook', 'healer')),
  state text NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'failed', 'unresolved', 'applied')),
  attempts bigint NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL, -- of a held one: when its holder is taken for dead
  holder text, -- the node that is at it
  awaited_email text CHECK ((awaited_email IS NOT NULL) = (state = 'unresolved')),
  last_error text,
  received_at timestamptz NOT NULL,
  applied_at timestamptz CHECK ((applied_at IS NOT NULL) = (state = 'applied'))
);
CREATE UNIQUE INDEX stripe_events_seq ON stripe_events (seq); -- the admin's list
CREATE INDEX stripe_events_due ON stripe_events (next_attempt_at)
  WHERE state IN ('waiting', 'failed');
CREATE INDEX stripe_events_of_object ON stripe_events (object_key, created_at, seq)
  WHERE state IN ('waiting', 'failed');
CREATE UNIQUE INDEX stripe_events_one_at_a_time ON stripe_events (object_key)
  WHERE holder IS NOT NULL;
CREATE INDEX stripe_events_awaiting ON stripe_events (awaited_email)
  WHERE awaited_email IS NOT NULL;
CREATE INDEX stripe_events_payloads ON stripe_events (received_at) WHERE payload IS NOT NULL;

ALTER TABLE stripe_customers
  ADD COLUMN method_lost boolean NOT NULL DEFAULT false, -- the last payment method is gone
  -- Billing has suspended the user, and may lift it; others' suspensions are not its business.
  ADD COLUMN suspended boolean NOT NULL DEFAULT false;

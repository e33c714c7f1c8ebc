-- What of the booked usage goes to Stripe's meters: an outbox, and what was too little to send.

CREATE TABLE meter_reports (
  usage_id bigint NOT NULL, -- usage_daily.id; no foreign key, as that one is derived
  meter text NOT NULL CONSTRAINT meter_reports_meter
    CHECK (meter IN ('compute_credits', 'storage_online_gb', 'storage_offline_gb')),
  revision bigint NOT NULL, -- the day's when the report was made
  identifier text NOT NULL CONSTRAINT meter_reports_identifier UNIQUE
    GENERATED ALWAYS AS (usage_id::text || ':' || meter || ':' || revision::text) STORED,
  user_id text NOT NULL REFERENCES users,  -- who used it
  payer_id text NOT NULL REFERENCES users, -- who pays: the user, or the owner of their account
  customer_id text NOT NULL,               -- the payer's in Stripe
  day date NOT NULL,
  amount numeric(38, 12) NOT NULL,      -- what this revision adds to the day, exactly
  carried_in numeric(38, 12) NOT NULL,  -- of the payer and meter, left by the report before
  value numeric(38, 12) NOT NULL,       -- what is sent
  carried_out numeric(38, 12) NOT NULL, -- left for the report after
  state text NOT NULL CONSTRAINT meter_reports_state
    CHECK (state IN ('waiting', 'sent', 'delivered', 'disputed')),
  attempts bigint NOT NULL DEFAULT 0,
  first_sent_at timestamptz, -- of the attempts whose outcome is unknown
  last_sent_at timestamptz,
  holder text,               -- who is at it, believed until lease_until
  lease_until timestamptz,
  failure text,              -- why the last attempt failed
  created_at timestamptz NOT NULL,
  delivered_at timestamptz,
  CONSTRAINT meter_reports_add_up CHECK (carried_in + amount = value + carried_out),
  PRIMARY KEY (usage_id, meter, revision)
);
CREATE INDEX meter_reports_open ON meter_reports (payer_id, day, meter)
  WHERE state IN ('waiting', 'sent');
-- What Stripe's summaries are compared with.
CREATE INDEX meter_reports_by_day ON meter_reports (customer_id, day, meter);
CREATE INDEX meter_reports_by_user ON meter_reports (user_id, day);

-- What the next report of a payer and meter begins with: at least 0, less than the meter's step.
CREATE TABLE meter_remainders (
  payer_id text NOT NULL REFERENCES users,
  meter text NOT NULL,
  remainder numeric(38, 12) NOT NULL,
  PRIMARY KEY (payer_id, meter)
);

CREATE INDEX usage_daily_unreported ON usage_daily (day) WHERE NOT reported_to_stripe;

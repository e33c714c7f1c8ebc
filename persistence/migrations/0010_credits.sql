-- Credits, in whole tenths. credit_entries and credit_allocations are the truth and only grow;
-- credit_accounts and credit_lots are sums of them, which verify_ledger recomputes.

-- One per user who ever had an entry. Its row lock puts the user's movements in a sequence.
CREATE TABLE credit_accounts (
  user_id text PRIMARY KEY REFERENCES users,
  balance bigint NOT NULL DEFAULT 0 -- of all entries; expired but not yet written off is in it
    CONSTRAINT credit_accounts_not_negative CHECK (balance >= 0)
) WITH (fillfactor = 50);

CREATE TABLE credit_entries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- ascending in the user's sequence
  user_id text NOT NULL REFERENCES credit_accounts,
  kind text NOT NULL CHECK (kind IN ('grant', 'use', 'expiry', 'refund')),
  source text NOT NULL CHECK (source <> ''),          -- what caused it, by which a repetition is known
  tenths bigint NOT NULL CHECK (tenths <> 0 AND (kind IN ('grant', 'refund')) = (tenths > 0)),
  use_id bigint REFERENCES credit_entries             -- the use that a refund takes back
    CHECK ((kind = 'refund') = (use_id IS NOT NULL)),
  expires_at timestamptz CHECK (kind IN ('grant', 'refund') OR expires_at IS NULL), -- of its lot
  balance_after bigint NOT NULL CHECK (balance_after >= 0),
  occurred_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT credit_entries_once UNIQUE (user_id, kind, source)
);
CREATE INDEX credit_entries_by_user ON credit_entries (user_id, id); -- the history
CREATE INDEX credit_entries_by_use ON credit_entries (use_id) WHERE use_id IS NOT NULL; -- refunds

-- What a grant brought, and what is left of it. A refund opens a lot of its own for what it returns
-- of a lot that has expired.
CREATE TABLE credit_lots (
  id bigint PRIMARY KEY REFERENCES credit_entries, -- the entry that opened it
  user_id text NOT NULL REFERENCES credit_accounts,
  expires_at timestamptz NOT NULL,                 -- infinity: never
  remaining bigint NOT NULL CONSTRAINT credit_lots_not_overdrawn CHECK (remaining >= 0)
);
-- Which lot pays next, and what has expired.
CREATE INDEX credit_lots_open ON credit_lots (user_id, expires_at, id) WHERE remaining > 0;
CREATE INDEX credit_lots_due ON credit_lots (expires_at) WHERE remaining > 0; -- the sweep

-- What an entry did to which lots: of an entry they sum to its tenths, of a lot to what remains.
CREATE TABLE credit_allocations (
  entry_id bigint NOT NULL REFERENCES credit_entries,
  lot_id bigint NOT NULL REFERENCES credit_lots,
  tenths bigint NOT NULL CHECK (tenths <> 0),
  PRIMARY KEY (entry_id, lot_id)
);

CREATE TRIGGER credit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_allocations_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_allocations
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What was used of the monthly allowance of a plan, apart from credits that were bought.
CREATE TABLE allowance_uses (
  user_id text NOT NULL REFERENCES users,
  source text NOT NULL CHECK (source <> ''),
  month date NOT NULL CHECK (extract(day FROM month) = 1),
  tenths bigint NOT NULL CHECK (tenths > 0),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, source)
);
CREATE INDEX allowance_uses_by_month ON allowance_uses (user_id, month) INCLUDE (tenths);

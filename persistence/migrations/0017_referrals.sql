-- Who sent whom to us, and what they got for it.

CREATE TABLE referral_profiles (
  user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  referral_code text NOT NULL UNIQUE CHECK (referral_code ~ '^[a-z0-9_-]{6,64}$'),
  created_at timestamptz NOT NULL
);

CREATE TABLE referral_events (
  id text PRIMARY KEY,
  owner_user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  referral_code text NOT NULL REFERENCES referral_profiles (referral_code) ON DELETE CASCADE,
  -- Of several who say that they sent somebody, the first did. Outlives who was sent.
  referred_user_id text UNIQUE REFERENCES users ON DELETE SET NULL
    CONSTRAINT referral_events_not_oneself CHECK (referred_user_id <> owner_user_id),
  status text NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'verified', 'paid', 'cancelled')),
  awarded_tenths bigint NOT NULL DEFAULT 0
    CHECK (awarded_tenths >= 0 AND (awarded_tenths = 0 OR status IN ('verified', 'paid'))),
  occurred_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX referral_events_of_owner
  ON referral_events (owner_user_id, occurred_at DESC, created_at DESC, id);
CREATE INDEX referral_events_of_code ON referral_events (referral_code); -- for the cascade

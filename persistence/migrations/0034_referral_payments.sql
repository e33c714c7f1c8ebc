-- What earned a referral its reward. Once nothing of it stands any more, the reward is taken back.

CREATE TABLE referral_payments (
  referral_id text NOT NULL REFERENCES referral_events ON DELETE CASCADE,
  source text NOT NULL, -- 'checkout:<id>', 'invoice:<id>'
  returned boolean NOT NULL DEFAULT false,
  PRIMARY KEY (source, referral_id)
);
CREATE INDEX referral_payments_of_referral ON referral_payments (referral_id); -- for the cascade

-- How often the reward was taken back: it is given again when a payment comes that stands.
ALTER TABLE referral_events ADD COLUMN cancellations bigint NOT NULL DEFAULT 0;

-- Of rewards that were granted before, nobody knows for what: they stay.
INSERT INTO referral_payments (referral_id, source)
SELECT id, 'unknown' FROM referral_events WHERE status IN ('verified', 'paid');

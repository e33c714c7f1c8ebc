-- What was bought and is paid back. A revocation takes what is left of a grant, a restoration brings
-- that back. One that found nothing left is of 0 tenths: it is known that it was done.

ALTER TABLE credit_entries
  DROP CONSTRAINT credit_entries_kind_check,
  DROP CONSTRAINT credit_entries_check,  -- signs
  DROP CONSTRAINT credit_entries_check1, -- use_id
  DROP CONSTRAINT credit_entries_check2, -- expires_at
  ADD CONSTRAINT credit_entries_sign CHECK (CASE
    WHEN kind IN ('grant', 'refund', 'restoration') THEN tenths > 0
    WHEN kind IN ('use', 'expiry') THEN tenths < 0
    ELSE kind = 'revocation' AND tenths <= 0 END),
  -- The use that a refund takes back, the grant that is revoked, the revocation that is taken back.
  ADD CONSTRAINT credit_entries_of CHECK (
    (kind IN ('refund', 'revocation', 'restoration')) = (use_id IS NOT NULL)),
  ADD CONSTRAINT credit_entries_lot CHECK (
    kind IN ('grant', 'refund', 'restoration') OR expires_at IS NULL);

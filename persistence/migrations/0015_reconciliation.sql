-- What comparing and explaining the books needs to find its rows by key.

-- What the owner of an account pays for.
CREATE INDEX usage_daily_by_owner ON usage_daily (account_owner_id, day)
  WHERE account_owner_id IS NOT NULL;

-- A payer's reports of a meter in the order in which they were made, along which the remainder is
-- carried. By number, as clocks of several nodes are no order.
ALTER TABLE meter_reports ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX meter_reports_chain ON meter_reports (payer_id, meter, number);

-- Since when a user who paid in advance pays afterwards: what they used before is paid for. NULL: from
-- the beginning, or not. By a trigger, so that nobody who changes a user can forget it.
ALTER TABLE users ADD COLUMN postpaid_since timestamptz;

CREATE FUNCTION note_postpaid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.postpaid_since = clock_timestamp();
  RETURN NEW;
END $$;
CREATE TRIGGER note_postpaid
  BEFORE UPDATE OF billing_mode ON users FOR EACH ROW
  WHEN (OLD.billing_mode = 'prepaid' AND NEW.billing_mode IS DISTINCT FROM 'prepaid')
  EXECUTE FUNCTION note_postpaid();

-- Since when somebody is suspended: only a payment method that is added later lifts what billing did
-- not do. By a trigger, so that nobody who changes a user can forget it.
ALTER TABLE users ADD COLUMN suspended_at timestamptz;
UPDATE users SET suspended_at = updated_at WHERE status = 'suspended';

CREATE FUNCTION note_suspension() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.suspended_at = CASE WHEN NEW.status = 'suspended' THEN clock_timestamp() END;
  RETURN NEW;
END $$;
CREATE TRIGGER note_suspension
  BEFORE UPDATE OF status ON users FOR EACH ROW WHEN (OLD.status <> NEW.status)
  EXECUTE FUNCTION note_suspension();
CREATE TRIGGER note_suspension_first
  BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.status = 'suspended')
  EXECUTE FUNCTION note_suspension();

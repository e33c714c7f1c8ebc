-- Prices get a history: an hour is priced by the list that was valid when it began, for ever. A
-- product's price at a time is that of its newest active row with valid_from <= that time; before
-- its first row, the built-in one. A new price is a new row, an inactive row is one that never counts.

ALTER TABLE stripe_products
  ADD COLUMN valid_from timestamptz NOT NULL DEFAULT now() CHECK (isfinite(valid_from));
UPDATE stripe_products SET valid_from = created_at;
DROP INDEX stripe_products_one_active;
-- A product has one price at a time.
CREATE UNIQUE INDEX stripe_products_one_active ON stripe_products (product_type, valid_from)
  WHERE active;

-- Refuses to change the prices of hours that are booked: they may be billed already, and collected
-- again at any time. Under the lock of bookings (lock_usage), which read the prices under it too.
CREATE FUNCTION keep_price_history() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  since timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('binnacle.usage', 0));
  IF TG_OP <> 'INSERT' AND OLD.active THEN since := OLD.valid_from; END IF;
  IF TG_OP <> 'DELETE' AND NEW.active THEN since := least(since, NEW.valid_from); END IF;
  IF EXISTS (SELECT FROM collected_hours WHERE hour >= since AND collected_at IS NOT NULL) THEN
    RAISE EXCEPTION 'hours from % on are booked at the prices that stand', since
      USING ERRCODE = 'check_violation', HINT = 'Insert a row that is valid from a later time.';
  END IF;
  PERFORM pg_notify('binnacle_changes', 'prices:'); -- cached price lists
  RETURN NULL;
END $$;
CREATE TRIGGER keep_price_history
  AFTER INSERT OR DELETE OR UPDATE OF product_type, unit_price, valid_from, active
  ON stripe_products FOR EACH ROW EXECUTE FUNCTION keep_price_history();

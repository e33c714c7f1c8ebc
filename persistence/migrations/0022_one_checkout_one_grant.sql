-- A checkout is paid once and brings credits once, whoever it is found to be for: its email may by now
-- be another user's.
CREATE UNIQUE INDEX credit_entries_one_per_checkout ON credit_entries (source)
  WHERE kind = 'grant' AND source LIKE 'checkout:%';

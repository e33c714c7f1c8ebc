-- Customers that were deleted at Stripe. They are nobody's, and no late event makes them so again; their
-- number tells a user's next customer from the last one.
CREATE TABLE former_stripe_customers (
  customer_id text PRIMARY KEY CHECK (customer_id <> ''),
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  gone_at timestamptz NOT NULL
);
CREATE INDEX former_stripe_customers_by_user ON former_stripe_customers (user_id);

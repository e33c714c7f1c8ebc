-- Who a user is to Stripe, and what they subscribe to there.

ALTER TABLE users ADD COLUMN plan text NOT NULL DEFAULT 'free'
  CONSTRAINT users_plan CHECK (plan IN ('free', 'pro', 'premium', 'enterprise'));

CREATE TABLE stripe_customers (
  user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  customer_id text NOT NULL CONSTRAINT stripe_customers_customer_key UNIQUE CHECK (customer_id <> ''),
  has_payment_method boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL
);

CREATE TABLE subscriptions (
  id text PRIMARY KEY CHECK (id <> ''), -- Stripe's
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  customer_id text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('plan', 'usage')), -- usage: billed by meters
  plan text CHECK (plan IN ('free', 'pro', 'premium', 'enterprise')),
  status text NOT NULL CONSTRAINT subscriptions_status CHECK (status IN (
    'incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'canceled', 'unpaid',
    'paused')),
  current_period_end timestamptz,
  cancel_at_period_end boolean NOT NULL DEFAULT false,
  as_of timestamptz NOT NULL, -- when this was so in Stripe
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX subscriptions_by_user ON subscriptions (user_id, updated_at DESC);

-- Subscribers: who they are, what they subscribe to, what was sent to them and what they were asked
-- to pay for it; and what the LGPD (Lei 13.709) wants to be known of changes and of consents.

CREATE TABLE subscribers (
  user_id text PRIMARY KEY REFERENCES users,
  -- As they gave it. users.email is the one somebody vouches for, which not every token does.
  email text CONSTRAINT subscribers_email_key UNIQUE
    CHECK (email = lower(email) AND email <> ''),
  phone text CHECK (phone ~ '^55[1-9][1-9][0-9]{8,9}$'), -- with the country's code, digits only
  cpf text CHECK (cpf ~ '^[0-9]{11}$'), -- not unique: who looks after somebody may give their own
  birth_date date,
  address jsonb CHECK (jsonb_typeof(address) = 'object'),
  avatar_url text CHECK (avatar_url <> ''),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  erased_at timestamptz -- nothing that tells who it was is left
);

-- Ids are those of the system that a row comes from, or ours. Addresses, benefits and items are always
-- read and written whole, so they are kept as they are answered; numbers in jsonb are exact.
CREATE TABLE assinante_subscriptions (
  id text PRIMARY KEY CHECK (id <> ''),
  user_id text NOT NULL REFERENCES subscribers,
  plan_name text NOT NULL CHECK (plan_name <> ''),
  status text NOT NULL CHECK (status IN ('pending_activation', 'active', 'overdue', 'suspended',
    'paused', 'cancelled', 'expired', 'refunded', 'pending')),
  price numeric(12, 2) NOT NULL CHECK (price >= 0), -- a month's, in reais
  start_date date NOT NULL,
  renewal_date date NOT NULL CHECK (renewal_date >= start_date),
  payment_method text NOT NULL CHECK (payment_method IN ('credit_card', 'debit_card', 'pix', 'boleto')),
  payment_method_last4 text CHECK (payment_method_last4 ~ '^[0-9]{4}$'),
  shipping_address jsonb CHECK (jsonb_typeof(shipping_address) = 'object'),
  benefits jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(benefits) = 'array'), -- as answered
  stripe_subscription text UNIQUE CHECK (stripe_subscription <> ''), -- that its invoices follow
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  UNIQUE (id, user_id) -- for the references that keep a row with its subscriber
);
CREATE INDEX assinante_subscriptions_of_user
  ON assinante_subscriptions (user_id, created_at DESC, id DESC);

CREATE TABLE assinante_orders (
  id text PRIMARY KEY CHECK (id <> ''),
  subscription_id text NOT NULL,
  user_id text NOT NULL,
  order_number text NOT NULL CHECK (order_number <> ''),
  status text NOT NULL
    CHECK (status IN ('pending', 'processing', 'shipped', 'delivered', 'cancelled')),
  total numeric(12, 2) NOT NULL CHECK (total >= 0), -- as charged; not always the sum of the items
  items jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(items) = 'array'), -- as answered
  shipping_address jsonb CHECK (jsonb_typeof(shipping_address) = 'object'),
  tracking_code text CHECK (tracking_code <> ''),
  shipped_at timestamptz,
  delivered_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  FOREIGN KEY (subscription_id, user_id) REFERENCES assinante_subscriptions (id, user_id)
);
CREATE INDEX assinante_orders_of_user ON assinante_orders (user_id, created_at DESC, id DESC);

CREATE TABLE assinante_invoices (
  id text PRIMARY KEY CHECK (id <> ''),
  subscription_id text NOT NULL,
  user_id text NOT NULL,
  invoice_number text NOT NULL CHECK (invoice_number <> ''),
  status text NOT NULL CHECK (status IN ('pending', 'paid', 'overdue', 'cancelled')),
  amount numeric(12, 2) NOT NULL CHECK (amount >= 0),
  description text NOT NULL DEFAULT '',
  due_date date NOT NULL,
  paid_at timestamptz,
  payment_method text NOT NULL CHECK (payment_method IN ('credit_card', 'debit_card', 'pix', 'boleto')),
  stripe_invoice text UNIQUE CHECK (stripe_invoice <> ''), -- that it follows
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  FOREIGN KEY (subscription_id, user_id) REFERENCES assinante_subscriptions (id, user_id)
);
CREATE INDEX assinante_invoices_of_user ON assinante_invoices (user_id, due_date DESC, id DESC);

-- What became of subscriptions: who changed what, when, from where. Changes of an address bring old
-- and new; an erasure empties them.
CREATE TABLE assinante_history (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subscription_id text NOT NULL,
  user_id text NOT NULL,
  change text NOT NULL CHECK (change <> ''), -- ADDRESS_UPDATE, …
  old_value jsonb,
  new_value jsonb,
  actor text NOT NULL, -- a user's id
  client_address text NOT NULL DEFAULT '',
  user_agent text NOT NULL DEFAULT '',
  at timestamptz NOT NULL,
  FOREIGN KEY (subscription_id, user_id) REFERENCES assinante_subscriptions (id, user_id)
);
CREATE INDEX assinante_history_of_user ON assinante_history (user_id, id);

CREATE TABLE consent_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL REFERENCES users,
  consent text NOT NULL CHECK (consent IN ('TERMS', 'DATA_PROCESSING', 'MARKETING', 'MEDICAL_DATA')),
  granted boolean NOT NULL, -- false: withdrawn
  client_address text NOT NULL DEFAULT '',
  user_agent text NOT NULL DEFAULT '',
  at timestamptz NOT NULL
);
CREATE INDEX consent_log_of_user ON consent_log (user_id, id);

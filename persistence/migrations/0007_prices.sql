-- Prices that replace the built-in ones, and the products they are sold as.

CREATE TABLE stripe_products (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  product_type text NOT NULL, -- compute_credits, storage_online_gb, storage_offline_gb
  stripe_product_id text,
  stripe_price_id text,
  unit_price numeric(38, 12) NOT NULL CHECK (unit_price >= 0),
  unit_name text NOT NULL DEFAULT '',
  active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
-- A product has one price at a time; also how load_prices finds it.
CREATE UNIQUE INDEX stripe_products_one_active ON stripe_products (product_type) WHERE active;

-- Who gets the newsletter, and who has been asked by mail whether they want it.

CREATE TABLE newsletter_requests (
  token_digest bytea PRIMARY KEY CHECK (octet_length(token_digest) = 32),
  email text NOT NULL CHECK (email = lower(email) AND email <> ''),
  first_name text NOT NULL DEFAULT '',
  source text NOT NULL,
  created_at timestamptz NOT NULL, -- when they consented
  expires_at timestamptz NOT NULL
);
CREATE INDEX newsletter_requests_by_email ON newsletter_requests (email, created_at);
CREATE INDEX newsletter_requests_expiry ON newsletter_requests (expires_at); -- the sweep

CREATE TABLE newsletter_subscribers (
  email text PRIMARY KEY CHECK (email = lower(email) AND email <> ''),
  first_name text NOT NULL DEFAULT '',
  source text NOT NULL,
  consented_at timestamptz NOT NULL,
  subscribed_at timestamptz NOT NULL -- when they confirmed it
);

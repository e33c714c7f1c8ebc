-- People, the identities that log in as them, and their cookie sessions.

CREATE TABLE users (
  -- No comma or space: the payload of a NOTIFY lists ids.
  id text PRIMARY KEY CONSTRAINT users_id_form CHECK (id ~ '^[^,[:space:]]{1,128}$'),
  username text CONSTRAINT users_username_key UNIQUE,
  -- Only an address somebody vouches for (an operator, or an issuer that verified it): first
  -- logins are linked by it.
  email text CONSTRAINT users_email_key UNIQUE
    CONSTRAINT users_email_lower CHECK (email = lower(email)),
  name text NOT NULL DEFAULT '',
  password_hash text,
  session_version bigint NOT NULL DEFAULT 0,
  is_admin boolean NOT NULL DEFAULT false,
  status text NOT NULL DEFAULT 'active'
    CONSTRAINT users_status CHECK (status IN ('active', 'suspended', 'deleted')),
  account_owner_id text REFERENCES users CONSTRAINT users_not_own_owner CHECK (account_owner_id <> id),
  billing_mode text CONSTRAINT users_billing_mode CHECK (billing_mode IN ('prepaid', 'postpaid')),
  feature_flags jsonb NOT NULL DEFAULT '{}'
    CONSTRAINT users_feature_flags CHECK (jsonb_typeof(feature_flags) = 'object'),
  last_login_at timestamptz,
  login_count bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT users_none_is_null
    CHECK (username <> '' AND email <> '' AND password_hash <> '' AND billing_mode <> '')
);

-- One row per token subject an issuer vouches for.
CREATE TABLE identities (
  issuer text NOT NULL,
  subject text NOT NULL,
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id); -- for the cascade

CREATE TABLE sessions (
  digest bytea PRIMARY KEY CONSTRAINT sessions_digest_sha256 CHECK (octet_length(digest) = 32),
  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  surface text NOT NULL,
  session_version bigint NOT NULL, -- the user's when the session began; another one ends it
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, expires_at); -- login_sessions_of, load_principal
CREATE INDEX sessions_by_expiry ON sessions (expires_at);        -- the sweep

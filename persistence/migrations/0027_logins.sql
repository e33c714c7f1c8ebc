-- Logins through a provider, what admins and Auth0 tell of users, and reading the audit log.

ALTER TABLE users
  ADD COLUMN registration_ip text NOT NULL DEFAULT '',
  ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}'
    CONSTRAINT users_metadata CHECK (jsonb_typeof(metadata) = 'object');

-- A login that has come back from the provider: it comes back once. What a browser has to bring is
-- sealed in its cookie, so that a login that is only begun leaves nothing here.
CREATE TABLE spent_logins (
  digest bytea PRIMARY KEY CONSTRAINT spent_logins_sha256 CHECK (octet_length(digest) = 32),
  expires_at timestamptz NOT NULL -- of the cookie, which is refused by itself afterwards
);
CREATE INDEX spent_logins_by_expiry ON spent_logins (expires_at);

-- A page of the log, newest first, of one actor or of one kind of action.
CREATE INDEX audit_log_by_actor ON audit_log (actor, id);
CREATE INDEX audit_log_by_action ON audit_log (action, id);

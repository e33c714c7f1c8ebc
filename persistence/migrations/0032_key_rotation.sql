-- A key is rotated in place: who uses it keeps its client id, and the secret before stays good for
-- a while. What was sealed for tabs that refresh at once is forgotten soon.

ALTER TABLE project_api_keys
  DROP COLUMN expires_at,
  DROP COLUMN rotated_from,
  ADD COLUMN previous_digest bytea CHECK (octet_length(previous_digest) = 32),
  ADD COLUMN previous_until timestamptz,
  ADD CHECK ((previous_digest IS NULL) = (previous_until IS NULL));
CREATE INDEX project_api_keys_by_revocation ON project_api_keys (revoked_at)
  WHERE revoked_at IS NOT NULL; -- the sweep

ALTER TABLE refresh_tokens
  DROP CONSTRAINT refresh_tokens_check,
  ADD CHECK (successor IS NULL OR used_at IS NOT NULL);
CREATE INDEX refresh_tokens_sealed ON refresh_tokens (used_at) WHERE successor IS NOT NULL; -- the sweep

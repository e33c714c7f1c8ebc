-- Requests that came with an Idempotency-Key, and their answers for as long as they are replayed.

CREATE TABLE idempotency_keys (
  scope text NOT NULL, -- whose key: "user:<id>" or "addr:<address>"
  key text NOT NULL,
  fingerprint bytea NOT NULL, -- keyed hash of the request; says nothing about it without the key
  holder text NOT NULL, -- the attempt that executes, or has executed, the request
  lease_until timestamptz NOT NULL, -- the attempt is taken for dead after this
  answer text, -- sealed; NULL while the request is executed
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

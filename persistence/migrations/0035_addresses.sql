-- Email addresses: whose they are, what is lower case, and how many mails one gets.

-- Who logs in gave this address, and their issuer let them in without saying that it is theirs. It
-- counts for them until somebody proves that it is their own: then it is taken from them.
ALTER TABLE users ADD COLUMN email_claimed boolean NOT NULL DEFAULT false
  CONSTRAINT users_claim_is_of_an_address CHECK (NOT email_claimed OR email IS NOT NULL);

-- Issuers let people in with addresses beyond ASCII. Of those the service lowers A to Z only; what is
-- lower case must not depend on the database's locale.
ALTER TABLE users DROP CONSTRAINT users_email_lower;
ALTER TABLE users ADD CONSTRAINT users_email_lower CHECK (email = lower(email COLLATE "C"));

CREATE INDEX mail_outbox_of_recipient ON mail_outbox (recipient, kind, queued_at);

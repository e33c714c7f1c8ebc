-- Mails on their way out, and what became of them.

CREATE TABLE mail_outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the admin's list
  id text NOT NULL CONSTRAINT mail_outbox_id_key UNIQUE CHECK (id <> ''), -- to whoever transports it
  cause text NOT NULL CONSTRAINT mail_outbox_cause_key UNIQUE CHECK (cause <> ''), -- one mail each
  kind text NOT NULL CHECK (kind <> ''),
  recipient text NOT NULL CHECK (recipient <> ''),
  subject text NOT NULL,
  content text, -- sealed, as links in it are credentials; gone when the mail is on its way or given up
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
  attempts bigint NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL, -- of a held one: when its holder is taken for dead
  holder text, -- the node that is at it
  last_error text,
  queued_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL, -- not sent any more
  finished_at timestamptz CHECK ((finished_at IS NULL) = (state = 'waiting')),
  CHECK ((content IS NULL) = (state <> 'waiting'))
);
CREATE INDEX mail_outbox_due ON mail_outbox (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX mail_outbox_finished ON mail_outbox (finished_at) WHERE state <> 'waiting'; -- the sweep
CREATE INDEX mail_outbox_failed ON mail_outbox (seq) WHERE state = 'failed'; -- their number

-- Invitations to teams. A team is an account owner and the users whose account_owner_id names them.

CREATE TABLE team_invites (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_owner_id text NOT NULL REFERENCES users ON DELETE CASCADE,
  email text NOT NULL CHECK (email = lower(email) AND email <> ''),
  token_digest bytea NOT NULL CONSTRAINT team_invites_token_key UNIQUE
    CHECK (octet_length(token_digest) = 32),
  project_role text NOT NULL CHECK (project_role IN ('Data owner', 'Data scientist', 'Observer')),
  auto_assign_projects boolean NOT NULL,
  expires_at timestamptz NOT NULL,
  accepted_at timestamptz,
  accepted_by_user_id text REFERENCES users ON DELETE CASCADE
    CHECK ((accepted_by_user_id IS NULL) = (accepted_at IS NULL)),
  created_at timestamptz NOT NULL
);
-- One open invitation per address and team; an expired one makes room.
CREATE UNIQUE INDEX team_invites_one_open ON team_invites (account_owner_id, email)
  WHERE accepted_at IS NULL;
CREATE INDEX team_invites_by_email ON team_invites (email) WHERE accepted_at IS NULL; -- open_invite_for
CREATE INDEX users_by_account_owner ON users (account_owner_id)
  WHERE account_owner_id IS NOT NULL; -- the members of a team

-- Ids are given out before the commit, so a row may appear below one that was read already. A reader
-- of pages leaves out what was written by transactions that are not older than all that run.
ALTER TABLE audit_log ADD COLUMN written_by xid8 NOT NULL DEFAULT pg_current_xact_id();

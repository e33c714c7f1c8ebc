-- What is kept about one person, to hand it out and to erase it (LGPD art. 18, GDPR art. 15 and 17).

-- An erasure takes out of the audit log who somebody was, and nothing else ever changes it.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND current_setting('binnacle.erasing', true) = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

-- The rows of every table that are about these users or this address, by table, without secrets. The
-- catalogue tells which they are, so that a table made later is not forgotten: a column that refers to
-- users or is called user_id, and a column that is called email or recipient.
CREATE FUNCTION rows_about_person(who text[], address text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
  secrets constant text[] :=
    ARRAY['password_hash', 'digest', 'token_digest', 'secret_digest', 'successor', 'answer', 'content'];
  part record;
  found jsonb;
  out jsonb := '{}';
BEGIN
  FOR part IN
    SELECT c.relname AS name,
      string_agg(format(CASE WHEN a.attname IN ('email', 'recipient') THEN 't.%I = $2'
                             ELSE 't.%I = ANY ($1)' END, a.attname), ' OR ') AS condition
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
      AND a.atttypid = 'text'::regtype
      AND (a.attname IN ('user_id', 'email', 'recipient')
           OR (c.relname, a.attname) IN (('users', 'id'), ('audit_log', 'actor'), ('audit_log', 'target'))
           -- What an account's owner pays for is about its members.
           OR (a.attname <> 'account_owner_id' AND EXISTS (
                 SELECT FROM pg_constraint k
                 WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid = 'users'::regclass
                   AND k.conkey = ARRAY[a.attnum])))
    GROUP BY c.relname ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT jsonb_agg(to_jsonb(t) - $3) FROM %I t WHERE %s', part.name, part.condition)
      INTO found USING who, address, secrets;
    IF found IS NOT NULL THEN
      out := out || jsonb_build_object(part.name, found);
    END IF;
  END LOOP;
  RETURN out;
END
$$;

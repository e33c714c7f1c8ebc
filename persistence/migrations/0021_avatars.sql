-- Pictures of people, and the objects of the store that nothing refers to.

ALTER TABLE users ADD COLUMN image text CONSTRAINT users_image CHECK (image <> '');

-- An object is in here from before it is put until what refers to it is committed, and again from
-- the commit that no longer refers to it until it has been removed: a crash leaves none behind.
CREATE TABLE unwanted_objects (
  bucket text NOT NULL,
  key text NOT NULL,
  due_at timestamptz NOT NULL,
  attempts bigint NOT NULL DEFAULT 0, -- to remove it
  PRIMARY KEY (bucket, key)
);
CREATE INDEX unwanted_objects_by_due ON unwanted_objects (due_at); -- hold_unwanted_objects

-- name: table
-- Whether the table of migrations is there; to_regclass would ask for a right to look into its schema.
SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'sync' AND c.relname = 'migrations'

-- name: lock
-- One migrating process at a time; released at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('ecommpay-sync migrations', 0))

-- name: create_table
CREATE SCHEMA IF NOT EXISTS sync;
CREATE TABLE IF NOT EXISTS sync.migrations (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    sha256      text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sync.migrations IS 'Files of sql/migrations that were applied.';
COMMENT ON COLUMN sync.migrations.version IS 'Number at the head of the file''s name.';
COMMENT ON COLUMN sync.migrations.name IS 'Rest of the file''s name.';
COMMENT ON COLUMN sync.migrations.sha256 IS 'Fingerprint of the file when it was applied: an edited file is noticed.';
COMMENT ON COLUMN sync.migrations.applied_at IS 'When it was applied.';

-- name: applied
SELECT version, name, sha256 FROM sync.migrations

-- name: record
INSERT INTO sync.migrations (version, name, sha256) VALUES (:version, :name, :sha256)

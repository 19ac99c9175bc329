-- A day is closed in two steps: one person prepares its figures, another closes it while they are still the same.

CREATE TABLE recon.close_preparations (
    account         text NOT NULL,
    preparation_no  bigint GENERATED ALWAYS AS IDENTITY,
    business_date   date NOT NULL,
    prepared_by     text NOT NULL CHECK (prepared_by <> ''),
    prepared_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    database_user   text NOT NULL DEFAULT session_user,
    figures_sha256  bytea NOT NULL,
    PRIMARY KEY (account, preparation_no)
);
CREATE INDEX close_preparations_day ON recon.close_preparations (account, business_date, preparation_no DESC);
COMMENT ON TABLE recon.close_preparations IS 'Who prepared which figures of a day for its close; the last one since the day was last closed or opened again counts. Never changed.';
COMMENT ON COLUMN recon.close_preparations.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.close_preparations.preparation_no IS 'Number of the preparation.';
COMMENT ON COLUMN recon.close_preparations.business_date IS 'Business day.';
COMMENT ON COLUMN recon.close_preparations.prepared_by IS 'Who prepared the figures, as the command was told.';
COMMENT ON COLUMN recon.close_preparations.prepared_at IS 'When.';
COMMENT ON COLUMN recon.close_preparations.database_user IS 'Role that the command was connected as.';
COMMENT ON COLUMN recon.close_preparations.figures_sha256 IS 'SHA-256 of the figures prepared: the day''s totals, verdict, books, breaks and balances. The day is closed only while they are the same.';

CREATE FUNCTION recon.keep_preparations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a preparation is never changed: prepare the day again with `ecommpay-sync close`';
END $$;
COMMENT ON FUNCTION recon.keep_preparations() IS 'Refuses to change or delete a row of recon.close_preparations.';
CREATE TRIGGER keep_preparations BEFORE UPDATE OR DELETE ON recon.close_preparations
    FOR EACH ROW EXECUTE FUNCTION recon.keep_preparations();

-- The same letters in another shape, case or spacing are the same name. Rows written before are left as they are.
ALTER TABLE recon.closes DROP CONSTRAINT four_eyes;
ALTER TABLE recon.closes ADD CONSTRAINT four_eyes CHECK (
    action = 'reopen'
    OR lower(normalize(regexp_replace(btrim(prepared_by), '\s+', ' ', 'g'), NFKC))
    <> lower(normalize(regexp_replace(btrim(decided_by), '\s+', ' ', 'g'), NFKC))
) NOT VALID;

-- Schema raw: the bodies that the platform signed, and when they were deleted.

CREATE SCHEMA IF NOT EXISTS raw;
COMMENT ON SCHEMA raw IS 'The bodies the platform signed, as they came.';

CREATE TABLE raw.pages (
    page_id           bigint GENERATED ALWAYS AS IDENTITY,
    account           text NOT NULL,
    window_id         bigint,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    endpoint          text NOT NULL,
    request           jsonb NOT NULL,
    requested_at      timestamptz NOT NULL,
    received_at       timestamptz NOT NULL,
    row_count         integer NOT NULL,
    body_bytes        integer NOT NULL,
    body_sha256       bytea NOT NULL,
    signature         text NOT NULL,
    body_zstd         bytea,
    erased_at         timestamptz,
    request_id        text,
    PRIMARY KEY (account, page_id)
);
ALTER TABLE raw.pages ALTER COLUMN body_zstd SET STORAGE EXTERNAL;
CREATE INDEX pages_window ON raw.pages (window_id);
CREATE INDEX pages_received ON raw.pages (account, received_at);

COMMENT ON TABLE raw.pages IS 'Every answer whose rows were loaded, compressed, as the platform signed it.';
COMMENT ON COLUMN raw.pages.page_id IS 'Number of the page.';
COMMENT ON COLUMN raw.pages.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN raw.pages.window_id IS 'The walk it was part of; NULL for balances.';
COMMENT ON COLUMN raw.pages.run_id IS 'The run it was part of.';
COMMENT ON COLUMN raw.pages.endpoint IS 'Endpoint of the Data API, for example operations/get.';
COMMENT ON COLUMN raw.pages.request IS 'Parameters of the request, never its token or signature.';
COMMENT ON COLUMN raw.pages.requested_at IS 'When the request was started.';
COMMENT ON COLUMN raw.pages.received_at IS 'When the answer was whole.';
COMMENT ON COLUMN raw.pages.row_count IS 'Rows in the answer.';
COMMENT ON COLUMN raw.pages.body_bytes IS 'Size of the body before compression.';
COMMENT ON COLUMN raw.pages.body_sha256 IS 'SHA-256 of the body before compression.';
COMMENT ON COLUMN raw.pages.signature IS 'The platform''s signature, as in the body.';
COMMENT ON COLUMN raw.pages.body_zstd IS 'The body, compressed with zstd; NULL: not kept, because SYNC_PERSONAL_DATA was hash or drop.';
COMMENT ON COLUMN raw.pages.erased_at IS 'When a person''s fields were taken out of the body, which the signature and digest no longer fit since; NULL: as it came.';
COMMENT ON COLUMN raw.pages.request_id IS 'Id of the HTTP request, as in the log; NULL for pages stored before ids were kept.';

CREATE TABLE raw.deletions (
    account           text NOT NULL,
    deleted_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    received_before   timestamptz NOT NULL,
    raw_days          integer NOT NULL,
    pages             bigint NOT NULL,
    deletion_no       bigint NOT NULL,
    previous_hash     bytea NOT NULL,
    entry_hash        bytea NOT NULL,
    PRIMARY KEY (account, deletion_no)
);

COMMENT ON TABLE raw.deletions IS 'When raw pages were deleted because of their age, chained by hashes; nothing else deletes any.';
COMMENT ON COLUMN raw.deletions.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN raw.deletions.deleted_at IS 'When they were deleted.';
COMMENT ON COLUMN raw.deletions.received_before IS 'All pages received before this moment were deleted.';
COMMENT ON COLUMN raw.deletions.raw_days IS 'SYNC_RAW_DAYS at that time.';
COMMENT ON COLUMN raw.deletions.pages IS 'How many pages.';
COMMENT ON COLUMN raw.deletions.deletion_no IS 'Position in the account''s chain, from 1, without holes.';
COMMENT ON COLUMN raw.deletions.previous_hash IS 'entry_hash of the account''s row before; 32 zero bytes for the first.';
COMMENT ON COLUMN raw.deletions.entry_hash IS 'SHA-256 over previous_hash and this row: raw.deletion_hash().';

CREATE FUNCTION raw.deletion_hash(entry raw.deletions) RETURNS bytea
LANGUAGE sql STABLE SET timezone = 'UTC' SET datestyle = 'ISO'
RETURN sha256((entry).previous_hash
    || convert_to((jsonb_strip_nulls(to_jsonb(entry)) - 'entry_hash' - 'previous_hash')::text, 'UTF8'));
COMMENT ON FUNCTION raw.deletion_hash(raw.deletions) IS 'What entry_hash of a deletion must be.';

CREATE FUNCTION raw.chain_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_no bigint;
    last_hash bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('raw.deletions ' || NEW.account, 0));
    SELECT deletion_no, entry_hash INTO last_no, last_hash
    FROM raw.deletions WHERE account = NEW.account ORDER BY deletion_no DESC LIMIT 1;
    NEW.deletion_no := coalesce(last_no, 0) + 1;
    NEW.previous_hash := coalesce(last_hash, decode(repeat('00', 32), 'hex'));
    NEW.entry_hash := raw.deletion_hash(NEW);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raw.chain_deletion() IS 'Numbers and chains a new row of raw.deletions; one at a time for an account.';
CREATE TRIGGER chain_deletion BEFORE INSERT ON raw.deletions FOR EACH ROW EXECUTE FUNCTION raw.chain_deletion();

-- How long raw pages are kept: their digest stays in the ledger, and what was deleted is written down.

ALTER TABLE sync.windows ADD COLUMN pages_digest text;
COMMENT ON COLUMN sync.windows.pages_digest IS 'SHA-256 over the SHA-256 of the walk''s raw pages, in the order of their requests: says which pages it had, also when they are no longer kept. NULL: walked before this column.';

CREATE TABLE raw.deletions (
    account           text NOT NULL,
    deleted_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    received_before   timestamptz NOT NULL,
    raw_days          integer NOT NULL,
    pages             bigint NOT NULL,
    PRIMARY KEY (account, deleted_at)
);
COMMENT ON TABLE raw.deletions IS 'When raw pages were deleted because of their age; nothing else deletes any.';
COMMENT ON COLUMN raw.deletions.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN raw.deletions.deleted_at IS 'When they were deleted.';
COMMENT ON COLUMN raw.deletions.received_before IS 'All pages received before this moment were deleted.';
COMMENT ON COLUMN raw.deletions.raw_days IS 'SYNC_RAW_DAYS at that time.';
COMMENT ON COLUMN raw.deletions.pages IS 'How many pages.';

CREATE INDEX pages_received ON raw.pages (account, received_at);

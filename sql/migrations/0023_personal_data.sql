-- With SYNC_PERSONAL_DATA=hash or drop a signed body, which holds the clear values, is not kept.

ALTER TABLE raw.pages ALTER COLUMN body_zstd DROP NOT NULL;
COMMENT ON COLUMN raw.pages.body_zstd IS 'The body, compressed with zstd; NULL: not kept, because SYNC_PERSONAL_DATA was hash or drop.';

-- bi.ops_lateness: how long after its completion an operation was first seen.
CREATE OR REPLACE VIEW bi.ops_lateness AS
SELECT account, first_seen_date, lateness, from_hours::integer AS from_hours, operations FROM sync.lateness;
COMMENT ON VIEW bi.ops_lateness IS 'How long after its completion an operation was first seen, by UTC day; a backfill shows as very late. Name the days, such as first_seen_date >= bi.today() - 14: without them it reads all operations.';
COMMENT ON COLUMN bi.ops_lateness.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.ops_lateness.first_seen_date IS 'UTC day on which the operations were first seen.';
COMMENT ON COLUMN bi.ops_lateness.lateness IS 'First seen minus completed, as a bucket.';
COMMENT ON COLUMN bi.ops_lateness.from_hours IS 'Lower end of the bucket, to sort by.';
COMMENT ON COLUMN bi.ops_lateness.operations IS 'How many operations.';

-- bi.control_totals: what each walk met, as the ledger's entry says, by currency, type and status.
CREATE OR REPLACE VIEW bi.control_totals AS
SELECT w.account, w.window_id, w.entry_no, w.stream, w.interval_from AS interval_from_at, w.interval_to AS interval_to_at,
       w.verdict = 'complete' AS is_complete, w.walk_started_at, w.committed_at,
       t.currency, t.type AS operation_type, t.status AS operation_status,
       t.count AS operations, t.minor AS amount_minor, t.minor * c.smallest_unit AS amount,
       w.rows_digest, encode(w.entry_hash, 'hex') AS entry_hash
FROM sync.windows w
CROSS JOIN LATERAL jsonb_to_recordset(w.totals_met)
    AS t (currency text, type text, status text, count bigint, minor numeric)
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
LEFT JOIN core.currencies c ON c.currency = t.currency
    AND c.valid_from <= (w.interval_from AT TIME ZONE z.zone)::date
    AND (c.valid_to IS NULL OR c.valid_to > (w.interval_from AT TIME ZONE z.zone)::date)
WHERE w.stream = 'operations';
COMMENT ON VIEW bi.control_totals IS 'Control totals of each walk by currency, type and status: what the platform showed to this account''s token, as the hash-chained ledger keeps it; a project that several accounts see is in the walks of each.';
COMMENT ON COLUMN bi.control_totals.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.control_totals.window_id IS 'Number of the walk.';
COMMENT ON COLUMN bi.control_totals.entry_no IS 'Position in the account''s ledger.';
COMMENT ON COLUMN bi.control_totals.stream IS 'What was walked.';
COMMENT ON COLUMN bi.control_totals.interval_from_at IS 'First second of the window.';
COMMENT ON COLUMN bi.control_totals.interval_to_at IS 'Last second of the window, included.';
COMMENT ON COLUMN bi.control_totals.is_complete IS 'Whether the walk could be shown complete.';
COMMENT ON COLUMN bi.control_totals.walk_started_at IS 'When the first request of the walk was started.';
COMMENT ON COLUMN bi.control_totals.committed_at IS 'When rows and verdict were committed together.';
COMMENT ON COLUMN bi.control_totals.currency IS 'ISO 4217 alpha-3 code of the amounts; NULL: the operations have none.';
COMMENT ON COLUMN bi.control_totals.operation_type IS 'Type as the API names it.';
COMMENT ON COLUMN bi.control_totals.operation_status IS 'Status as the API names it.';
COMMENT ON COLUMN bi.control_totals.operations IS 'How many operations.';
COMMENT ON COLUMN bi.control_totals.amount_minor IS 'Sum in minor units of currency, without sign.';
COMMENT ON COLUMN bi.control_totals.amount IS 'The same in major units.';
COMMENT ON COLUMN bi.control_totals.rows_digest IS 'SHA-256 of all rows of the walk.';
COMMENT ON COLUMN bi.control_totals.entry_hash IS 'Hash of the ledger''s entry, chained to the one before.';

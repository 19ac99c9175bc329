-- What ledger and core say together: what a walk wrote, what is covered, proved, late, restated.

-- What each walk wrote, of every stream: a new stream adds its two tables here.
CREATE VIEW sync.written_rows AS
SELECT account, window_id, sum_initial_currency COLLATE "C" AS currency, operation_type COLLATE "C" AS type,
       operation_status COLLATE "C" AS status, sum_initial_amount AS minor
FROM core.operations
UNION ALL
SELECT account, window_id, sum_initial_currency COLLATE "C", operation_type COLLATE "C", operation_status COLLATE "C",
       sum_initial_amount
FROM core.operation_versions
UNION ALL
SELECT account, window_id, tr_ccy COLLATE "C", fraud_type COLLATE "C", NULL, tr_amount_minor FROM core.fraud_reports
UNION ALL
SELECT account, window_id, tr_ccy COLLATE "C", fraud_type COLLATE "C", NULL, tr_amount_minor FROM core.fraud_report_versions
UNION ALL
SELECT account, window_id, NULL, stream COLLATE "C", NULL, NULL FROM core.documents
UNION ALL
SELECT account, window_id, NULL, stream COLLATE "C", NULL, NULL FROM core.document_versions;
COMMENT ON VIEW sync.written_rows IS 'Every stored state of every stream by the walk that wrote it, with what control totals are taken of.';
COMMENT ON COLUMN sync.written_rows.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.written_rows.window_id IS 'The walk: sync.windows.window_id.';
COMMENT ON COLUMN sync.written_rows.currency IS 'ISO 4217 alpha-3 code; NULL where the stream has none.';
COMMENT ON COLUMN sync.written_rows.type IS 'Type of the operation, kind of fraud, or name of the stream of documents.';
COMMENT ON COLUMN sync.written_rows.status IS 'Status of the operation; NULL where the stream has none.';
COMMENT ON COLUMN sync.written_rows.minor IS 'Amount in minor units; NULL where there is none.';

CREATE FUNCTION sync.written_totals(walk bigint) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(to_jsonb(total) ORDER BY total.currency, total.type, total.status), '[]')
    FROM (
        SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor
        FROM sync.written_rows
        WHERE window_id = walk
        GROUP BY currency, type, status
    ) AS total;
END;
COMMENT ON FUNCTION sync.written_totals(bigint) IS 'Control totals of what one walk wrote, as the store holds it now; must equal the ledger''s totals_written for ever.';

-- What the ledger and the versions tell: coverage, lateness, restatements.
CREATE VIEW sync.coverage AS
SELECT account, stream, project_ids, lower(stretch) AS covered_from, upper(stretch) AS covered_to
FROM (
    SELECT account, stream, project_ids, unnest(range_agg(tstzrange(interval_from, interval_to, '[]'))) AS stretch
    FROM sync.windows
    WHERE verdict = 'complete'
    GROUP BY account, stream, project_ids
) AS stretches;

COMMENT ON VIEW sync.coverage IS 'Stretches of time shown complete, without a hole; a hole is what lies between two rows.';
COMMENT ON COLUMN sync.coverage.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.coverage.stream IS 'What was walked: operations, fraud, or documents:NAME.';
COMMENT ON COLUMN sync.coverage.project_ids IS 'Projects asked for; empty: every project that the token may see.';
COMMENT ON COLUMN sync.coverage.covered_from IS 'First second of the stretch.';
COMMENT ON COLUMN sync.coverage.covered_to IS 'Last second of the stretch, included; a stretch of whole days ends with the midnight after them.';

CREATE VIEW sync.proofs AS
SELECT w.account, w.window_id,
       coalesce(range_agg(tstzrange(later.interval_from, later.interval_to, '[]'))
           FILTER (WHERE later.window_id IS NOT NULL)
           @> tstzrange(w.interval_from, w.interval_to, '[]'), false) AS proved
FROM sync.windows w
LEFT JOIN sync.windows later
    ON later.account = w.account AND later.stream = w.stream AND later.project_ids = w.project_ids
    AND later.verdict = 'complete' AND later.rows_new = 0 AND later.walk_started_at > w.walk_ended_at
    AND later.interval_from <= w.interval_to AND later.interval_to >= w.interval_from
WHERE w.verdict = 'complete'
GROUP BY w.account, w.window_id;

COMMENT ON VIEW sync.proofs IS 'Which complete windows a later, independent walk has proved: it met no operation unknown to the store.';
COMMENT ON COLUMN sync.proofs.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.proofs.window_id IS 'The window: sync.windows.window_id.';
COMMENT ON COLUMN sync.proofs.proved IS 'True once later walks without a new row cover the whole window.';

CREATE FUNCTION sync.lateness_bucket(late interval) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN width_bucket(late, ARRAY['1 hour', '6 hours', '24 hours', '48 hours', '72 hours', '168 hours']::interval[]);
COMMENT ON FUNCTION sync.lateness_bucket(interval) IS 'Number of the bucket of first seen minus completed, from 0.';

CREATE FUNCTION sync.lateness_label(bucket integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (ARRAY['under 1 hour', '1 to 6 hours', '6 to 24 hours', '1 to 2 days', '2 to 3 days', '3 to 7 days',
              'over 7 days'])[bucket + 1];
COMMENT ON FUNCTION sync.lateness_label(integer) IS 'The words for a bucket of lateness.';

CREATE VIEW sync.lateness AS
SELECT account, first_seen_date, sync.lateness_label(bucket) AS lateness,
       (ARRAY[-1e9, 1, 6, 24, 48, 72, 168])[bucket + 1] AS from_hours, operations
FROM (
    SELECT account, (first_seen_at AT TIME ZONE 'UTC')::date AS first_seen_date,
           sync.lateness_bucket(first_seen_at - operation_completed_at) AS bucket, count(*) AS operations
    FROM core.operations
    WHERE operation_completed_at IS NOT NULL
    GROUP BY 1, 2, 3
) AS counted;

COMMENT ON VIEW sync.lateness IS 'How long after its completion an operation was first seen, by the day it was first seen; a backfill shows as very late.';
COMMENT ON COLUMN sync.lateness.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.lateness.first_seen_date IS 'UTC day on which the operations were first seen.';
COMMENT ON COLUMN sync.lateness.lateness IS 'First seen minus completed, as a bucket.';
COMMENT ON COLUMN sync.lateness.from_hours IS 'Lower end of the bucket, to sort by.';
COMMENT ON COLUMN sync.lateness.operations IS 'How many operations.';

CREATE FUNCTION core.restatements(known_from timestamptz, known_to timestamptz)
RETURNS TABLE (
    account text, operation_id text, kind text, observed_at timestamptz,
    status_before text, status_after text,
    currency_before text, currency_after text, amount_before bigint, amount_after bigint,
    completed_before timestamptz, completed_after timestamptz
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    -- a state is looked up by key for each operation: a join of two sets has no statistics, and became quadratic
    WITH touched AS (
        SELECT o.account, o.operation_id FROM core.operations o
        WHERE o.observed_at > restatements.known_from AND o.observed_at <= restatements.known_to
        UNION
        SELECT v.account, v.operation_id FROM core.operation_versions v
        WHERE v.known_to > restatements.known_from AND v.known_to <= restatements.known_to
    )
    SELECT t.account, t.operation_id, CASE WHEN b.operation_id IS NULL THEN 'new' ELSE 'changed' END, a.observed_at,
           b.operation_status, a.operation_status, b.sum_initial_currency, a.sum_initial_currency,
           b.sum_initial_amount, a.sum_initial_amount, b.operation_completed_at, a.operation_completed_at
    FROM touched t
    CROSS JOIN LATERAL (
        SELECT o.observed_at, o.operation_status, o.sum_initial_currency, o.sum_initial_amount,
               o.operation_completed_at
        FROM core.operations o
        WHERE o.account = t.account AND o.operation_id = t.operation_id
          AND o.observed_at <= restatements.known_to
        UNION ALL
        SELECT v.observed_at, v.operation_status, v.sum_initial_currency, v.sum_initial_amount,
               v.operation_completed_at
        FROM core.operation_versions v
        WHERE v.account = t.account AND v.operation_id = t.operation_id
          AND v.observed_at <= restatements.known_to AND v.known_to > restatements.known_to
    ) a
    LEFT JOIN LATERAL (
        SELECT o.operation_id, o.operation_status, o.sum_initial_currency, o.sum_initial_amount,
               o.operation_completed_at
        FROM core.operations o
        WHERE o.account = t.account AND o.operation_id = t.operation_id
          AND o.observed_at <= restatements.known_from
        UNION ALL
        SELECT v.operation_id, v.operation_status, v.sum_initial_currency, v.sum_initial_amount,
               v.operation_completed_at
        FROM core.operation_versions v
        WHERE v.account = t.account AND v.operation_id = t.operation_id
          AND v.observed_at <= restatements.known_from AND v.known_to > restatements.known_from
    ) b ON true;
END;
COMMENT ON FUNCTION core.restatements(timestamptz, timestamptz) IS 'Operations whose known state differs between two moments of knowledge: new ones, and changed ones with before and after.';

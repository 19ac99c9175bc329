-- name: day_figures
-- By day of completion and currency: what is stored, and what of it this Dagster run wrote as new or changed.
SELECT (o.operation_completed_at AT TIME ZONE 'UTC')::date AS day, o.sum_initial_currency AS currency,
       count(*) AS row_count, sum(o.sum_initial_amount) AS minor,
       count(r.run_id) FILTER (WHERE o.first_seen_at = o.observed_at) AS new,
       count(r.run_id) FILTER (WHERE o.first_seen_at < o.observed_at) AS changed
FROM core.operations o
LEFT JOIN sync.windows w ON w.window_id = o.window_id
LEFT JOIN sync.runs r ON r.run_id = w.run_id AND r.dagster_run_id = :dagster_run_id
WHERE o.account = :account AND o.operation_completed_at IS NOT NULL
  AND core.business_at(o) >= :first AND core.business_at(o) < :after
GROUP BY 1, 2
ORDER BY 1, 2 NULLS LAST

-- name: preview_operations
-- A few rows that the run wrote, of its last window with any, without personal data and free text.
SELECT operation_id, project_id, operation_type, operation_status,
       sum_initial_amount, sum_initial_currency, operation_completed_at
FROM core.operations
WHERE window_id = (
    SELECT window_id FROM sync.windows
    WHERE run_id = :run_id AND rows_new + rows_changed > 0
    ORDER BY interval_to DESC
    LIMIT 1
)
ORDER BY operation_completed_at DESC NULLS LAST
LIMIT 10

-- name: preview_fraud_reports
-- A few rows that the run wrote, without personal data.
SELECT f.operation_id, f.project_id, f.fraud_type, f.tr_amount, f.tr_ccy, f.received_on
FROM core.fraud_reports f
JOIN sync.windows w USING (window_id)
WHERE w.run_id = :run_id
ORDER BY f.received_on DESC NULLS LAST
LIMIT 10

-- name: volume_by_day
-- How many operations the last sixty business days had.
SELECT business_date AS day, sum(operations)::bigint AS operations
FROM bi.daily_overview
WHERE account = :account
  AND business_date > (SELECT max(business_date) FROM bi.daily_overview WHERE account = :account) - 60
GROUP BY 1
ORDER BY 1

-- name: lateness_of_run
-- How long after their completion the operations that this run met first were seen.
SELECT sync.lateness_label(bucket) AS lateness, operations
FROM (
    SELECT sync.lateness_bucket(o.first_seen_at - o.operation_completed_at) AS bucket, count(*) AS operations
    FROM sync.windows w
    JOIN core.operations o USING (window_id)
    WHERE w.run_id = :run_id AND o.first_seen_at = o.observed_at AND o.operation_completed_at IS NOT NULL
    GROUP BY 1
) AS counted
ORDER BY bucket

-- name: count_operations
-- The planner's estimate where the table is large: an exact count of every night would read it all.
SELECT CASE WHEN c.reltuples > 1000000 THEN c.reltuples::bigint
            ELSE (SELECT count(*) FROM core.operations WHERE account = :account) END AS row_count
FROM pg_class c
WHERE c.oid = 'core.operations'::regclass

-- name: preview_documents
-- Some documents of a run, without what they say or are called: a document may hold personal data anywhere.
SELECT left(document_sha256, 12) AS digest, observed_at, first_seen_at, pg_column_size(document) AS bytes
FROM core.documents
WHERE window_id IN (SELECT window_id FROM sync.windows WHERE run_id = :run_id)
ORDER BY document_key
LIMIT 5

-- name: columns
-- Columns of a table or view, in their order, with the comments that the data dictionary shows.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS is_required,
       col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: fraud_day_figures
-- By day of receipt and currency: the reports that are stored, and what of them this Dagster run wrote as new or changed.
SELECT (f.received_on AT TIME ZONE 'UTC')::date AS day, f.tr_ccy AS currency,
       count(*) AS row_count, sum(f.tr_amount_minor) AS minor,
       count(r.run_id) FILTER (WHERE f.first_seen_at = f.observed_at) AS new,
       count(r.run_id) FILTER (WHERE f.first_seen_at < f.observed_at) AS changed
FROM core.fraud_reports f
LEFT JOIN sync.windows w ON w.window_id = f.window_id
LEFT JOIN sync.runs r ON r.run_id = w.run_id AND r.dagster_run_id = :dagster_run_id
WHERE f.account = :account AND f.received_on >= :first AND f.received_on < :after
GROUP BY 1, 2
ORDER BY 1, 2 NULLS LAST

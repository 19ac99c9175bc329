-- name: runs_of_stream
-- The account's runs of this Dagster run over a stream; without any, the last one.
SELECT run_id FROM sync.runs WHERE account = :account AND stream = :stream AND dagster_run_id = :dagster_run_id
UNION
SELECT max(run_id) FROM sync.runs WHERE account = :account AND stream = :stream AND state <> 'running'
    AND NOT EXISTS (
        SELECT FROM sync.runs
        WHERE account = :account AND stream = :stream AND dagster_run_id = :dagster_run_id)
HAVING max(run_id) IS NOT NULL

-- name: no_rejects
-- A reason quotes its value, so there may be as many as rows: all past a hundred are one.
WITH reasons AS (
    SELECT reason, count(*) AS rows, max(last_seen_at) AS last_seen_at,
           row_number() OVER (ORDER BY count(*) DESC, reason) <= 100 AS is_named
    FROM core.rejects
    WHERE run_id = ANY(:run_ids)
    GROUP BY reason
)
SELECT CASE WHEN is_named THEN reason ELSE 'other reasons' END AS reason,
       CAST(sum(rows) AS bigint) AS rows, max(last_seen_at) AS last_seen_at
FROM reasons
GROUP BY is_named, 1
ORDER BY is_named DESC, rows DESC, reason

-- name: spot_differences
SELECT payment_id, operation_id, field, stored, answered, asked_at
FROM sync.spot_checks
WHERE run_id = ANY(:run_ids) AND outcome = 'different'
ORDER BY payment_id, operation_id, field
LIMIT 100

-- name: recon_complete
SELECT business_date, completeness AS verdict
FROM recon.days
WHERE account = :account AND completeness <> 'complete'
ORDER BY business_date DESC

-- name: recon_open_breaks
SELECT break_type, age_bucket, count(*) AS rows
FROM recon.aged_breaks
WHERE account = :account AND state = 'open'
GROUP BY break_type, age_bucket
ORDER BY rows DESC

-- name: currencies
SELECT DISTINCT total ->> 'currency' AS currency
FROM sync.windows, jsonb_array_elements(totals_met) AS total
WHERE run_id = ANY(:run_ids) AND total ->> 'currency' IS NOT NULL

-- name: documents_keys_tell
-- Documents that two windows of one run brought in different states: either they changed and moved meanwhile, or the
-- key is that of several documents, which then replace each other every night.
SELECT d.stream, count(DISTINCT d.document_key) AS rows
FROM core.documents d
JOIN core.document_versions v USING (account, stream, document_key)
JOIN sync.windows w ON w.window_id = d.window_id
JOIN sync.windows former ON former.window_id = v.window_id
WHERE w.run_id = ANY(:run_ids) AND former.run_id = w.run_id AND former.window_id <> w.window_id
GROUP BY d.stream

-- name: operations_keys_tell
-- Operations that two windows of one run brought in different states.
SELECT DISTINCT o.operation_id, v.window_id AS former_window_id, o.window_id
FROM sync.windows w
JOIN core.operations o ON o.account = w.account AND o.window_id = w.window_id
JOIN core.operation_versions v ON v.account = o.account AND v.operation_id = o.operation_id
JOIN sync.windows former ON former.window_id = v.window_id
WHERE w.run_id = ANY(:run_ids) AND former.run_id = w.run_id AND former.window_id <> w.window_id
ORDER BY o.operation_id
LIMIT 1000

-- name: fraud_operation_known
-- Reports, received in what these runs walked, about operations that are not in the store.
SELECT f.report_key, f.operation_id, f.project_id, f.purchase_date, f.received_on
FROM core.fraud_reports f
LEFT JOIN core.operations o ON o.account = f.account AND o.operation_id = f.operation_id
WHERE o.operation_id IS NULL
  AND EXISTS (
        SELECT FROM sync.windows w
        WHERE w.run_id = ANY(:run_ids) AND w.account = f.account
          AND (w.window_id = f.window_id OR f.received_on BETWEEN w.interval_from AND w.interval_to)
      )
ORDER BY f.report_key
LIMIT 1000

-- name: fraud_received_in_window
-- Reports whose received_on, read as UTC, lies outside the interval that was asked for: the platform then counts in
-- another time zone (fraud/list has no parameter for one), and days of this stream begin at another hour.
SELECT f.report_key, f.received_on, w.interval_from, w.interval_to
FROM core.fraud_reports f
JOIN sync.windows w USING (window_id)
WHERE w.run_id = ANY(:run_ids) AND f.received_on NOT BETWEEN w.interval_from AND w.interval_to
ORDER BY f.report_key
LIMIT 100

-- name: fraud_units_agree
-- Reports, received in what these runs walked, whose amount in major units is not the operation's in minor units:
-- neither of the operation's sums that are in the report's currency equals tr_amount × 10^exponent.
SELECT f.report_key, f.operation_id, f.tr_amount, f.tr_ccy, f.tr_amount_minor,
       o.sum_initial_amount, o.sum_initial_currency, o.sum_converted_amount, o.sum_converted_currency
FROM core.fraud_reports f
JOIN core.operations o ON o.account = f.account AND o.operation_id = f.operation_id
WHERE EXISTS (
        SELECT FROM sync.windows w
        WHERE w.run_id = ANY(:run_ids) AND w.account = f.account
          AND (w.window_id = f.window_id OR f.received_on BETWEEN w.interval_from AND w.interval_to)
      )
  AND f.tr_amount_minor IS NOT NULL
  AND f.tr_ccy IN (o.sum_initial_currency, o.sum_converted_currency)
  AND (f.tr_ccy = o.sum_initial_currency AND f.tr_amount_minor = o.sum_initial_amount) IS NOT TRUE
  AND (f.tr_ccy = o.sum_converted_currency AND f.tr_amount_minor = o.sum_converted_amount) IS NOT TRUE
ORDER BY f.report_key
LIMIT 100

-- name: keys_unique
-- The primary key must be there and valid, and no replaced state may be newer than the current one.
SELECT 'core.operations has no valid primary key' AS found, NULL AS operation_id
WHERE NOT EXISTS (
    SELECT FROM pg_index WHERE indrelid = 'core.operations'::regclass AND indisprimary AND indisvalid
)
UNION ALL
SELECT 'a replaced state is newer than the current one', o.operation_id
FROM sync.windows w
JOIN core.operations o USING (window_id)
JOIN core.operation_versions v ON v.account = o.account AND v.operation_id = o.operation_id
WHERE w.run_id = ANY(:run_ids) AND v.observed_at >= o.observed_at
LIMIT 100

-- name: totals_equal_ledger
SELECT window_id, interval_from, interval_to, totals_written AS ledger, sync.written_totals(window_id) AS store
FROM sync.windows
WHERE run_id = ANY(:run_ids) AND totals_written IS DISTINCT FROM sync.written_totals(window_id)
ORDER BY window_id
LIMIT 100

-- name: windows_complete
SELECT window_id, interval_from, interval_to, reason
FROM sync.windows
WHERE run_id = ANY(:run_ids) AND verdict <> 'complete'
ORDER BY window_id
LIMIT 100

-- name: texts_like
-- Texts that the runs wrote into a stream's table: candidates for a closer look.
SELECT column_name, value
FROM core.texts_like(
    CAST(CAST(:relation AS text) AS regclass), CAST(:left_out AS text[]),
    ARRAY(SELECT window_id FROM sync.windows WHERE run_id = ANY(:run_ids)), :pattern)

-- name: rejects_like
-- The same of the rows that could not be typed.
SELECT raw_json FROM core.rejects WHERE run_id = ANY(:run_ids) AND raw_json ~ :pattern

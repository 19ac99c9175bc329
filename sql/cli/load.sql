-- name: fraud_totals_of_run
SELECT total ->> 'currency' AS currency, total ->> 'type' AS type,
       sum((total ->> 'count')::bigint)::bigint AS row_count, sum((total ->> 'minor')::numeric) AS minor
FROM sync.windows, jsonb_array_elements(totals_met) AS total
WHERE run_id = :run_id
GROUP BY 1, 2
ORDER BY 1 NULLS LAST, 3 DESC

-- name: run_of_dagster
SELECT r.run_id, r.requests, extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds,
       count(w.window_id) AS windows,
       coalesce(sum(w.rows_met), 0)::bigint AS rows_met,
       coalesce(sum(w.rows_new), 0)::bigint AS rows_new,
       coalesce(sum(w.rows_changed), 0)::bigint AS rows_changed,
       coalesce(sum(w.rows_unchanged), 0)::bigint AS rows_unchanged
FROM sync.runs r
LEFT JOIN sync.windows w USING (run_id)
WHERE r.dagster_run_id = :dagster_run_id AND r.stream = :stream
GROUP BY r.run_id
ORDER BY r.run_id DESC
LIMIT 1

-- name: spot_check_of_dagster
SELECT outcome, count(DISTINCT operation_id) AS operations
FROM sync.spot_checks
JOIN sync.runs USING (account, run_id)
WHERE dagster_run_id = :dagster_run_id
GROUP BY outcome

-- name: spot_differences
-- Differences of the account's last spot check.
SELECT payment_id, operation_id, field, stored, answered
FROM sync.spot_checks
WHERE run_id = (SELECT max(run_id) FROM sync.runs WHERE account = :account AND stream = 'spot check') AND outcome = 'different'
ORDER BY payment_id, operation_id, field
LIMIT 100

-- name: totals_of_run
SELECT total ->> 'currency' AS currency, total ->> 'status' AS status,
       sum((total ->> 'count')::bigint)::bigint AS row_count, sum((total ->> 'minor')::numeric) AS minor
FROM sync.windows, jsonb_array_elements(totals_met) AS total
WHERE run_id = :run_id
GROUP BY 1, 2
ORDER BY 1 NULLS LAST, 3 DESC

-- name: balances_of_dagster
SELECT b.balance_name, b.currency, b.amount_minor, b.captured_at
FROM core.balance_snapshots b
JOIN sync.runs r USING (run_id)
WHERE r.dagster_run_id = :dagster_run_id
ORDER BY b.position, b.currency

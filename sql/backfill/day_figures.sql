-- By day of completion and currency: what is stored, and what of it this Dagster run wrote as new or changed.
SELECT (o.operation_completed_at AT TIME ZONE 'UTC')::date AS day, o.sum_initial_currency AS currency,
       count(*) AS row_count, sum(o.sum_initial_amount) AS minor,
       count(r.run_id) FILTER (WHERE o.first_seen_at = o.observed_at) AS new,
       count(r.run_id) FILTER (WHERE o.first_seen_at < o.observed_at) AS changed
FROM core.operations o
LEFT JOIN sync.windows w ON w.window_id = o.window_id
LEFT JOIN sync.runs r ON r.run_id = w.run_id AND r.dagster_run_id = :dagster_run_id
WHERE o.account = :account AND o.operation_completed_at >= :first AND o.operation_completed_at < :after
GROUP BY 1, 2
ORDER BY 1, 2 NULLS LAST

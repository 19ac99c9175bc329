SELECT outcome, count(DISTINCT operation_id) AS operations
FROM sync.spot_checks
JOIN sync.runs USING (account, run_id)
WHERE dagster_run_id = :dagster_run_id
GROUP BY outcome

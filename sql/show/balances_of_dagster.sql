SELECT b.balance_name, b.currency, b.amount_minor, b.captured_at
FROM core.balance_snapshots b
JOIN sync.runs r USING (run_id)
WHERE r.dagster_run_id = :dagster_run_id
ORDER BY b.position, b.currency

-- A few rows that the run wrote, without personal data and free text.
SELECT o.operation_id, o.project_id, o.operation_type, o.operation_status,
       o.sum_initial_amount, o.sum_initial_currency, o.operation_completed_at
FROM core.operations o
JOIN sync.windows w USING (window_id)
WHERE w.run_id = :run_id
ORDER BY o.operation_completed_at DESC NULLS LAST
LIMIT 10

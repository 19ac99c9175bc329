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

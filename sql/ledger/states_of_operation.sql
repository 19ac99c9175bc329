SELECT account, operation_id, observed_at, NULL::timestamptz AS known_to, window_id, operation_status,
       sum_initial_amount, sum_initial_currency
FROM core.operations WHERE account = :account AND operation_id = :operation_id
UNION ALL
SELECT account, operation_id, observed_at, known_to, window_id, operation_status,
       sum_initial_amount, sum_initial_currency
FROM core.operation_versions WHERE account = :account AND operation_id = :operation_id
ORDER BY observed_at

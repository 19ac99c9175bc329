-- Operations of any other day that an entry of the day names.
INSERT INTO pool_operations
SELECT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       coalesce(s.is_success, false), coalesce(s.is_success, false) AND coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, coalesce(o.operation_completed_at, o.operation_created_at),
       o.arn, o.rrn, false
FROM (
    SELECT DISTINCT e.operation_id FROM pool_entries e
    WHERE e.is_home AND e.operation_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM pool_operations p WHERE p.operation_id = e.operation_id)
) AS named
JOIN core.operations o ON o.account = :account AND o.operation_id = named.operation_id
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE NOT EXISTS (
    SELECT FROM recon.matches m
    WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
)

-- Operations of the day, but those that another day's reconciliation has matched.
INSERT INTO pool_operations
SELECT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       coalesce(s.is_success, false), coalesce(s.is_success, false) AND coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, coalesce(o.operation_completed_at, o.operation_created_at),
       o.arn, o.rrn, true
FROM core.operations o
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE o.account = :account
  AND ((o.operation_completed_at >= :starts_at AND o.operation_completed_at < :ends_at)
    OR (o.operation_completed_at IS NULL AND o.operation_created_at >= :starts_at AND o.operation_created_at < :ends_at))
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
  )

-- Successful operations a day before and after that have no match yet: the books may have them on this day.
INSERT INTO pool_operations
SELECT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       true, coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, o.operation_completed_at, o.arn, o.rrn, false
FROM core.operations o
JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE o.account = :account
  AND o.operation_completed_at >= CAST(:starts_at AS timestamptz) - interval '1 day'
  AND o.operation_completed_at < CAST(:ends_at AS timestamptz) + interval '1 day'
  AND (o.operation_completed_at < :starts_at OR o.operation_completed_at >= :ends_at)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
  )

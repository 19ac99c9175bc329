-- orphan_refund: a refund whose payment was never sold, captured or charged, as far as the store knows.
INSERT INTO found_breaks
SELECT 'orphan_refund o' || r.operation_id, CAST(:day AS date), 'orphan_refund', r.operation_id, NULL, NULL,
       r.sum_initial_currency, r.sum_initial_amount, r.sum_initial_currency, r.sum_initial_amount, r.operation_status,
       NULL, NULL, NULL, 'the payment has no successful sale, capture or recurring charge', NULL
FROM core.operations r
JOIN core.operation_statuses s ON s.operation_status = r.operation_status AND s.is_success
WHERE r.account = :account AND r.operation_type = 'refund'
  AND r.operation_completed_at >= :starts_at AND r.operation_completed_at < :ends_at
  AND NOT EXISTS (
      SELECT FROM core.operations c
      JOIN core.operation_types t ON t.operation_type = c.operation_type AND t.sign = 1
      JOIN core.operation_statuses cs ON cs.operation_status = c.operation_status AND cs.is_success
      WHERE c.account = r.account AND c.payment_id = r.payment_id AND c.project_id IS NOT DISTINCT FROM r.project_id
  )

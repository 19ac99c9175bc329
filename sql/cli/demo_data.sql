-- name: operations
-- Operations of a business day, for the demo's made-up ledger.
SELECT o.operation_id, o.project_id, coalesce(o.payment_id, '') AS payment_id, o.operation_type, o.operation_status,
       o.sum_initial_currency AS currency, o.sum_initial_amount AS minor, core.business_at(o) AS at,
       coalesce(s.is_success, false) AND coalesce(t.is_money, true) AND o.sum_initial_amount IS NOT NULL AS is_required
FROM core.operations o
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE o.account = :account
  AND core.business_at(o) >= core.business_day_starts_at(CAST(:day AS date))
  AND core.business_at(o) < core.business_day_starts_at(CAST(:day AS date) + 1)
ORDER BY core.business_at(o), o.operation_id

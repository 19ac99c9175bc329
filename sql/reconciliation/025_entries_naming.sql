-- Entries of any other day that name an operation of the day which no entry so far names.
INSERT INTO pool_entries
SELECT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference, false
FROM pool_operations o
JOIN recon.ledger_entries e ON e.account = :account AND e.operation_id = o.operation_id
WHERE o.is_home
  AND NOT EXISTS (SELECT FROM pool_entries p WHERE p.operation_id = o.operation_id)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

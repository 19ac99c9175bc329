-- Entries of the day, but those that another day's reconciliation has matched.
INSERT INTO pool_entries
SELECT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference, true
FROM recon.ledger_entries e
WHERE e.account = :account AND e.booked_at >= :starts_at AND e.booked_at < :ends_at
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

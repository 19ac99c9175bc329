-- Entries of any other day of the payments whose operations are still left.
WITH brought AS (
    INSERT INTO pool_entries
    SELECT DISTINCT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor,
           e.fee_minor, e.operation_id, e.project_id, e.payment_id, e.reference, false
    FROM left_operations o
    JOIN recon.ledger_entries e ON e.account = :account AND e.payment_id = (o.payment_id COLLATE "default")
        AND e.operation_type = (o.operation_type COLLATE "default")
    WHERE o.is_home AND o.is_required AND e.operation_id IS NULL
      AND (e.booked_at < CAST(:starts_at AS timestamptz) - interval '1 day'
        OR e.booked_at >= CAST(:ends_at AS timestamptz) + interval '1 day')
      AND NOT EXISTS (
          SELECT FROM recon.matches m
          WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
      )
    RETURNING *
)
INSERT INTO left_entries SELECT * FROM brought

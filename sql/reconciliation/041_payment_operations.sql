-- Successful operations of any other day of the payments whose entries are still left.
WITH brought AS (
    INSERT INTO pool_operations
    SELECT DISTINCT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
           true, coalesce(t.is_money, true), o.sum_initial_currency, o.sum_initial_amount,
           o.operation_completed_at, o.arn, o.rrn, false
    FROM left_entries e
    JOIN core.operations o ON o.account = :account AND o.payment_id = (e.payment_id COLLATE "default")
        AND o.operation_type = (e.operation_type COLLATE "default")
    JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
    LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
    WHERE e.is_home AND e.operation_id IS NULL
      AND (o.operation_completed_at < CAST(:starts_at AS timestamptz) - interval '1 day'
        OR o.operation_completed_at >= CAST(:ends_at AS timestamptz) + interval '1 day')
      AND NOT EXISTS (SELECT FROM pool_operations p WHERE p.operation_id = o.operation_id)
      AND NOT EXISTS (
          SELECT FROM recon.matches m
          WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
      )
    RETURNING *
)
INSERT INTO left_operations SELECT * FROM brought

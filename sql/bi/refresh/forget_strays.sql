-- Pairs that no figure has any more and that the product does not know of itself.
DELETE FROM bi.dim_operation_status d
WHERE NOT (d.operation_type IN (SELECT operation_type FROM core.operation_types)
           AND d.operation_status IN (SELECT operation_status FROM core.operation_statuses))
  AND NOT EXISTS (
    SELECT 1 FROM bi.daily_overview o
    WHERE o.operation_type = d.operation_type AND o.operation_status = d.operation_status)

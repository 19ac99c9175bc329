-- Every pair of known type and status, and every other pair met.
INSERT INTO bi.dim_operation_status
SELECT pair.operation_type, pair.operation_status, coalesce(s.is_final, false), coalesce(s.is_success, false),
       coalesce(t.is_money, false), CASE WHEN s.is_success THEN coalesce(t.sign, 0) ELSE 0 END
FROM (
    SELECT operation_type, operation_status FROM core.operation_types, core.operation_statuses
    UNION SELECT operation_type, operation_status FROM new_daily_overview
) AS pair
LEFT JOIN core.operation_types t USING (operation_type)
LEFT JOIN core.operation_statuses s USING (operation_status)
ON CONFLICT (operation_type, operation_status) DO NOTHING

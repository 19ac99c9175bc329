-- The primary key must be there and valid, and no replaced state may be newer than the current one.
SELECT 'core.operations has no valid primary key' AS found, NULL AS operation_id
WHERE NOT EXISTS (
    SELECT FROM pg_index WHERE indrelid = 'core.operations'::regclass AND indisprimary AND indisvalid
)
UNION ALL
SELECT 'a replaced state is newer than the current one', o.operation_id
FROM sync.windows w
JOIN core.operations o USING (window_id)
JOIN core.operation_versions v ON v.account = o.account AND v.operation_id = o.operation_id
WHERE w.run_id = ANY(:run_ids) AND v.observed_at >= o.observed_at
LIMIT 100

SELECT payment_id, operation_id, field, stored, answered, asked_at
FROM sync.spot_checks
WHERE run_id = ANY(:run_ids) AND outcome = 'different'
ORDER BY payment_id, operation_id, field
LIMIT 100

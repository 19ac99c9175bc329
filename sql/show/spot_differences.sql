-- Differences of the last spot check.
SELECT payment_id, operation_id, field, stored, answered
FROM sync.spot_checks
WHERE run_id = (SELECT max(run_id) FROM sync.runs WHERE stream = 'spot check') AND outcome = 'different'
ORDER BY payment_id, operation_id, field
LIMIT 100

-- Differences of the account's last spot check.
SELECT payment_id, operation_id, field, stored, answered
FROM sync.spot_checks
WHERE run_id = (SELECT max(run_id) FROM sync.runs WHERE account = :account AND stream = 'spot check') AND outcome = 'different'
ORDER BY payment_id, operation_id, field
LIMIT 100

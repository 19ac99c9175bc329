-- A few rows that the run wrote, without personal data.
SELECT f.operation_id, f.project_id, f.fraud_type, f.tr_amount, f.tr_ccy, f.received_on
FROM core.fraud_reports f
JOIN sync.windows w USING (window_id)
WHERE w.run_id = :run_id
ORDER BY f.received_on DESC NULLS LAST
LIMIT 10

-- Reports, received in what these runs walked, about operations that are not in the store.
SELECT f.report_key, f.operation_id, f.project_id, f.purchase_date, f.received_on
FROM core.fraud_reports f
LEFT JOIN core.operations o ON o.account = f.account AND o.operation_id = f.operation_id
WHERE o.operation_id IS NULL
  AND EXISTS (
        SELECT FROM sync.windows w
        WHERE w.run_id = ANY(:run_ids) AND w.account = f.account
          AND (w.window_id = f.window_id OR f.received_on BETWEEN w.interval_from AND w.interval_to)
      )
ORDER BY f.report_key
LIMIT 1000

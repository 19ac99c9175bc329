-- What the last run over the day said, when it did not end complete.
SELECT state, coalesce(message, 'it is still running, or was killed') AS message
FROM sync.runs
WHERE account = :account AND stream = 'operations'
  AND interval_from < CAST(:after AS timestamp) AT TIME ZONE :zone
  AND interval_to >= CAST(:first AS timestamp) AT TIME ZONE :zone
ORDER BY run_id DESC
LIMIT 1

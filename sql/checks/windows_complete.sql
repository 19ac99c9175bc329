SELECT window_id, interval_from, interval_to, reason
FROM sync.windows
WHERE run_id = ANY(:run_ids) AND verdict <> 'complete'
ORDER BY window_id
LIMIT 100

SELECT window_id, interval_from, interval_to, totals_written AS ledger, sync.written_totals(window_id) AS store
FROM sync.windows
WHERE run_id = ANY(:run_ids) AND totals_written IS DISTINCT FROM sync.written_totals(window_id)
ORDER BY window_id
LIMIT 100

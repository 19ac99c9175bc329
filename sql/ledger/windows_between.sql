-- Complete walks that touch the days, in the order in which they were walked.
SELECT window_id, account, interval_from, interval_to, rows_met, rows_rejected, rows_digest
FROM sync.windows
WHERE account = :account AND stream = 'operations' AND verdict = 'complete'
  AND interval_from <= :last AND interval_to >= :first
ORDER BY walk_started_at, window_id

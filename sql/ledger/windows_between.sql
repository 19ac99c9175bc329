-- Complete walks of a stream that touch the days, in the order in which they were committed.
SELECT window_id, account, stream, interval_from, interval_to, walk_started_at, rows_met, rows_rejected, rows_digest,
       pages_digest, entry_no
FROM sync.windows
WHERE account = :account AND stream = :stream AND verdict = 'complete'
  AND interval_from <= :last AND interval_to >= :first
ORDER BY entry_no

-- What is late, and why?
-- Streams whose data is not fresh; none is a good answer.
SELECT account, stream, verdict, cause, next_run_due_at
FROM bi.data_freshness
WHERE is_late
ORDER BY account, stream

-- Is what I see up to date?
-- One row a stream: how far the data reaches, what is closed, and why it is late if it is.
SELECT stream, verdict, data_as_of_at, landed_at, marts_refreshed_at, next_run_due_at, closed_through_date, cause
FROM bi.data_freshness
ORDER BY account, stream

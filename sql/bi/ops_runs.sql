-- bi.ops_runs: one row a run, with what its walks did; for the people who operate the product.
CREATE OR REPLACE VIEW bi.ops_runs AS
SELECT r.account, r.run_id, r.stream,
       CASE WHEN sync.was_killed(r) THEN 'failed' ELSE r.state END AS state, r.started_at, r.finished_at,
       extract(epoch FROM r.finished_at - r.started_at)::integer AS seconds,
       coalesce(r.requests, 0) AS requests,
       greatest(coalesce(r.requests, 0) - coalesce(w.requests, r.requests, 0), 0)::bigint AS requests_retried,
       coalesce(w.windows, 0) AS windows, coalesce(w.windows_incomplete, 0) AS windows_incomplete,
       coalesce(w.rows_new, 0)::bigint AS rows_new, coalesce(w.rows_changed, 0)::bigint AS rows_changed,
       coalesce(w.rows_rejected, 0)::bigint AS rows_rejected, r.product_version, r.message
FROM sync.runs r
LEFT JOIN LATERAL (
    SELECT count(*) AS windows, count(*) FILTER (WHERE verdict = 'incomplete') AS windows_incomplete,
           sum(requests) AS requests, sum(rows_new) AS rows_new, sum(rows_changed) AS rows_changed,
           sum(rows_rejected) AS rows_rejected
    FROM sync.windows WHERE run_id = r.run_id
    HAVING count(*) > 0
) AS w ON true;
COMMENT ON VIEW bi.ops_runs IS 'One row a run: how it ended, how long it took, what it brought.';
COMMENT ON COLUMN bi.ops_runs.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.ops_runs.run_id IS 'Our own number of the run.';
COMMENT ON COLUMN bi.ops_runs.stream IS 'What was synced.';
COMMENT ON COLUMN bi.ops_runs.state IS 'running, complete, incomplete, failed or skipped; a run that was killed has failed.';
COMMENT ON COLUMN bi.ops_runs.started_at IS 'When it was started.';
COMMENT ON COLUMN bi.ops_runs.finished_at IS 'When it ended; NULL while it runs.';
COMMENT ON COLUMN bi.ops_runs.seconds IS 'How long it took, in whole seconds.';
COMMENT ON COLUMN bi.ops_runs.requests IS 'HTTP requests sent, retries included.';
COMMENT ON COLUMN bi.ops_runs.requests_retried IS 'Requests beyond the answers that its committed walks asked for: retries after 429, 5xx, time-outs, and walks that were cut or begun again.';
COMMENT ON COLUMN bi.ops_runs.windows IS 'Intervals walked.';
COMMENT ON COLUMN bi.ops_runs.windows_incomplete IS 'Intervals that could not be shown complete.';
COMMENT ON COLUMN bi.ops_runs.rows_new IS 'Rows not in the store before.';
COMMENT ON COLUMN bi.ops_runs.rows_changed IS 'Rows whose stored state was replaced.';
COMMENT ON COLUMN bi.ops_runs.rows_rejected IS 'Rows that could not be typed.';
COMMENT ON COLUMN bi.ops_runs.product_version IS 'Version of ecommpay-sync.';
COMMENT ON COLUMN bi.ops_runs.message IS 'Why it is not complete, in one line.';

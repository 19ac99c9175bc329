-- The figures of complete nightly runs that have none yet: runs over exactly the days that every night walks.
-- Runs of the last days only: later walks move rows on to their own windows, and the late ones with them.
INSERT INTO sync.nights (account, run_id, last_day, rows_new, rows_late)
SELECT r.account, r.run_id, (r.interval_to AT TIME ZONE 'UTC')::date,
       (SELECT coalesce(sum(w.rows_new), 0) FROM sync.windows w WHERE w.run_id = r.run_id),
       (SELECT count(*) FROM sync.windows w
        JOIN core.operations o ON o.window_id = w.window_id
        WHERE w.run_id = r.run_id AND o.first_seen_at = o.observed_at
          AND o.first_seen_at - o.operation_completed_at > interval '48 hours')
FROM sync.runs r
WHERE r.account = :account AND r.stream = 'operations' AND r.state = 'complete' AND r.project_ids = '{}'
  AND r.interval_to - r.interval_from = make_interval(days => :days) - interval '1 second'
  AND r.interval_to < r.started_at
  AND r.started_at - r.interval_to < interval '1 day'
  AND r.started_at > CAST(:now AS timestamptz) - interval '2 days'
ON CONFLICT (account, run_id) DO NOTHING

-- Windows that interrupted runs over exactly these days committed since the last run that completed them.
-- Walked again all the same, because operations change: what was walked more than a day ago, and the days that
-- every night walks again (the look-back).
SELECT w.interval_from, w.interval_to
FROM sync.windows w
JOIN sync.runs r USING (run_id)
WHERE r.account = :account AND r.stream = :stream AND r.project_ids = CAST(:project_ids AS bigint[])
  AND r.interval_from = :interval_from AND r.interval_to = :interval_to
  AND w.verdict = 'complete'
  AND w.walk_started_at > now() - interval '24 hours'
  AND w.interval_to < now() - make_interval(days => :look_back_days)
  AND r.run_id > coalesce((
        SELECT max(c.run_id) FROM sync.runs c
        WHERE c.account = :account AND c.stream = :stream AND c.state = 'complete'
          AND c.project_ids = CAST(:project_ids AS bigint[])
          AND c.interval_from = :interval_from AND c.interval_to = :interval_to
      ), 0)
ORDER BY w.interval_from

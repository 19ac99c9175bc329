SELECT r.run_id, r.requests, extract(epoch FROM r.finished_at - r.started_at) AS seconds,
       count(w.window_id) AS windows,
       coalesce(sum(w.rows_met), 0)::bigint AS rows_met,
       coalesce(sum(w.rows_new), 0)::bigint AS rows_new,
       coalesce(sum(w.rows_changed), 0)::bigint AS rows_changed,
       coalesce(sum(w.rows_unchanged), 0)::bigint AS rows_unchanged
FROM sync.runs r
LEFT JOIN sync.windows w USING (run_id)
WHERE r.dagster_run_id = :dagster_run_id AND r.stream = :stream
GROUP BY r.run_id
ORDER BY r.run_id DESC
LIMIT 1

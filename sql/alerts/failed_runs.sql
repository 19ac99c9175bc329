-- Runs of the last weeks that ended badly, or never ended, the newest of each stream and interval; not those that
-- are made good: a later run of the stream is complete, and all of the interval is covered by complete windows.
SELECT * FROM (
    SELECT DISTINCT ON (r.stream, r.interval_from, r.interval_to, r.project_ids)
           r.run_id, r.stream, r.interval_from, r.interval_to, r.state, r.started_at, r.dagster_run_id,
           sync.was_killed(r) AS was_killed,
           coalesce(r.message, 'it did not end: its process was killed, or the database was away') AS message
    FROM sync.runs r
    WHERE r.account = :account AND r.started_at > CAST(:now AS timestamptz) - interval '14 days'
    ORDER BY r.stream, r.interval_from, r.interval_to, r.project_ids, r.run_id DESC
) AS last
WHERE (last.state IN ('failed', 'incomplete') OR last.was_killed)
  AND NOT (
        EXISTS (
            SELECT FROM sync.runs later
            WHERE later.account = :account AND later.stream = last.stream
              AND later.run_id > last.run_id AND later.state = 'complete'
        )
        AND (last.interval_from IS NULL OR coalesce((
            SELECT range_agg(tstzrange(w.interval_from, w.interval_to + interval '1 second'))
            FROM sync.windows w
            WHERE w.account = :account AND w.stream = last.stream AND w.verdict = 'complete' AND w.project_ids = '{}'
              AND w.interval_from <= last.interval_to AND w.interval_to >= last.interval_from
        ) @> tstzrange(last.interval_from, least(last.interval_to, date_trunc('second', last.started_at))), false))
    )
ORDER BY last.run_id

-- name: refused_token
-- The last run of the account to end, if the platform refused its token.
SELECT run_id, message, started_at FROM (
    SELECT run_id, message, state, started_at FROM sync.runs
    WHERE account = :account AND state <> 'running'
    ORDER BY run_id DESC LIMIT 1
) AS last
WHERE state = 'failed' AND message ~ '^the platform answered 40[13] '

-- name: failed_runs
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
            SELECT range_agg(tstzrange(w.interval_from, w.interval_to, '[]'))
            FROM sync.windows w
            WHERE w.account = :account AND w.stream = last.stream AND w.verdict = 'complete' AND w.project_ids = '{}'
              AND w.interval_from <= last.interval_to AND w.interval_to >= last.interval_from
        ) @> tstzrange(last.interval_from, least(last.interval_to, date_trunc('second', last.started_at))), false))
    )
ORDER BY last.run_id

-- name: known_dagster_runs
SELECT dagster_run_id FROM sync.runs WHERE dagster_run_id = ANY(CAST(:dagster_run_ids AS text[]))

-- name: missing_days
-- Days from the first that was ever complete (at most :reach days back) to :last_day that are not shown complete.
SELECT day::date AS day
FROM generate_series(
    greatest(
        CAST(:last_day AS date) - CAST(:reach AS integer),
        coalesce((
            SELECT (min(covered_from) AT TIME ZONE 'UTC')::date FROM sync.coverage
            WHERE account = :account AND stream = 'operations' AND project_ids = '{}'
        ), CAST(:last_day AS date))
    )::timestamp,
    CAST(:last_day AS date)::timestamp, interval '1 day'
) AS day
WHERE NOT EXISTS (
    SELECT FROM sync.coverage c
    WHERE c.account = :account AND c.stream = 'operations' AND c.project_ids = '{}'
      AND c.covered_from <= day AT TIME ZONE 'UTC'
      AND c.covered_to >= (day + interval '1 day') AT TIME ZONE 'UTC'
)
ORDER BY day

-- name: measure_nights
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

-- name: nights
-- The last night's figures, and what is usual: the nights before it, the first run of each.
SELECT last_day, rows_new, rows_late
FROM (
    SELECT DISTINCT ON (last_day) last_day, rows_new, rows_late
    FROM sync.nights WHERE account = :account
    ORDER BY last_day, run_id
) AS nights
ORDER BY last_day DESC
LIMIT 29

-- name: open_breaks
SELECT currency, count(*) AS breaks, sum(abs(amount_minor))::text AS minor
FROM recon.breaks
WHERE account = :account AND state = 'open'
GROUP BY currency

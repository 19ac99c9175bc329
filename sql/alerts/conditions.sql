-- name: refused_token
-- The last run to end among :streams, which every token may see, if the platform refused it.
SELECT run_id, message FROM (
    SELECT run_id, message, state, error_kind FROM sync.runs
    WHERE account = :account AND stream = ANY(CAST(:streams AS text[])) AND project_ids = '{}' AND state <> 'running'
    ORDER BY run_id DESC LIMIT 1
) AS last
WHERE state = 'failed' AND error_kind IN ('unauthorized', 'forbidden')

-- name: refused_rights
-- Streams beside :streams, for which a token needs a right, whose last run to end the platform refused, and not the
-- token as such: then it refused the run of :streams before or behind it too.
SELECT run_id, stream, interval_from, interval_to, message,
       EXISTS (
           SELECT FROM sync.runs c
           WHERE c.account = :account AND c.stream = last.stream AND c.state = 'complete'
       ) AS was_loaded
FROM (
    SELECT DISTINCT ON (stream) run_id, stream, interval_from, interval_to, message, state, error_kind
    FROM sync.runs
    WHERE account = :account AND stream <> ALL(CAST(:streams AS text[])) AND state <> 'running'
    ORDER BY stream, run_id DESC
) AS last
WHERE state = 'failed' AND error_kind IN ('unauthorized', 'forbidden')
  AND NOT EXISTS (
        SELECT FROM (
            (SELECT state, error_kind FROM sync.runs
             WHERE account = :account AND stream = ANY(CAST(:streams AS text[])) AND project_ids = '{}'
               AND state <> 'running' AND run_id < last.run_id
             ORDER BY run_id DESC LIMIT 1)
            UNION ALL
            (SELECT state, error_kind FROM sync.runs
             WHERE account = :account AND stream = ANY(CAST(:streams AS text[])) AND project_ids = '{}'
               AND state <> 'running' AND run_id > last.run_id
             ORDER BY run_id LIMIT 1)
        ) AS neighbours
        WHERE neighbours.state = 'failed' AND neighbours.error_kind IN ('unauthorized', 'forbidden')
    )
ORDER BY stream

-- name: failed_runs
-- Runs of the last weeks that ended badly, or never ended, the newest of each stream and interval, whatever is under
-- way now; not those that are made good: a later run of the stream is complete, and all of the interval is covered by
-- complete windows. Nor those that the platform refused for want of a token or a right, which is a cause of its own.
SELECT * FROM (
    SELECT DISTINCT ON (r.stream, r.interval_from, r.interval_to, r.project_ids)
           r.run_id, r.stream, r.interval_from, r.interval_to, r.project_ids, r.state, r.error_kind, r.started_at,
           r.dagster_run_id, sync.was_killed(r) AS was_killed,
           coalesce(r.message, 'it did not end: its process was killed, or the database was away') AS message
    FROM sync.runs r
    WHERE r.account = :account AND r.started_at > CAST(:now AS timestamptz) - interval '14 days'
      AND (r.state <> 'running' OR sync.was_killed(r))
    ORDER BY r.stream, r.interval_from, r.interval_to, r.project_ids, r.run_id DESC
) AS last
WHERE (last.state IN ('failed', 'incomplete') OR last.was_killed)
  AND (last.error_kind IN ('unauthorized', 'forbidden') AND last.project_ids = '{}') IS NOT TRUE
  AND NOT EXISTS (
        SELECT FROM sync.runs later
        WHERE later.account = :account AND later.stream = last.stream
          AND later.run_id > last.run_id AND later.state = 'skipped'
    )
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

-- name: failed_streams_of_jobs
-- Which streams ended badly in these runs of Dagster, by the last try of each.
SELECT dagster_run_id, stream FROM (
    SELECT DISTINCT ON (r.dagster_run_id, r.stream)
           r.dagster_run_id, r.stream, r.state, sync.was_killed(r) AS was_killed
    FROM sync.runs r
    WHERE r.dagster_run_id = ANY(CAST(:dagster_run_ids AS text[]))
    ORDER BY r.dagster_run_id, r.stream, r.run_id DESC
) AS last
WHERE state IN ('failed', 'incomplete') OR was_killed

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

-- name: late_stretches
-- The stretches of days that are alerts already, by the day that names each, to the last that was missed.
SELECT CAST(split_part(cause, ':', 2) AS date) AS first_day, last_day
FROM sync.alerts
WHERE account = :account AND kind = 'nightly_late' AND resolved_at IS NULL

-- name: unmeasured_runs
-- Complete runs of the last days whose figures are not kept yet. Of the last days only: later walks move rows on to
-- their own windows, and the late ones with them.
SELECT run_id, interval_from, interval_to, started_at
FROM sync.runs r
WHERE account = :account AND stream = 'operations' AND state = 'complete' AND project_ids = '{}'
  AND started_at > CAST(:now AS timestamptz) - interval '2 days'
  AND NOT EXISTS (SELECT FROM sync.nights n WHERE n.account = r.account AND n.run_id = r.run_id)

-- name: measure_nights
INSERT INTO sync.nights (account, run_id, last_day, rows_new, rows_late)
SELECT r.account, r.run_id,
       least((r.interval_to AT TIME ZONE 'UTC')::date, (r.started_at AT TIME ZONE 'UTC')::date - 1),
       (SELECT coalesce(sum(w.rows_new), 0) FROM sync.windows w WHERE w.run_id = r.run_id),
       (SELECT count(*) FROM sync.windows w
        JOIN core.operations o ON o.window_id = w.window_id
        WHERE w.run_id = r.run_id AND o.first_seen_at = o.observed_at
          AND o.first_seen_at - o.operation_completed_at > interval '48 hours')
FROM sync.runs r
WHERE r.account = :account AND r.run_id = ANY(CAST(:run_ids AS bigint[]))
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
SELECT currency, count(*) AS breaks, coalesce(sum(abs(amount_minor)), 0) AS minor
FROM recon.breaks
WHERE account = :account AND state = 'open'
GROUP BY currency

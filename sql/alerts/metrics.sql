-- name: requests
SELECT account, endpoint, status, sum(requests)::bigint AS requests, sum(retries)::bigint AS request_retries
FROM sync.requests
GROUP BY account, endpoint, status

-- name: requests_in_flight
-- Of the processes that are at work together; of none, what the last one has left.
SELECT account, coalesce(
           sum(in_flight_limit) FILTER (WHERE is_active AND seen_at > clock_timestamp() - interval '6 minutes'),
           (array_agg(in_flight_limit ORDER BY seen_at DESC))[1]
       )::integer AS requests_in_flight_limit
FROM sync.requests_in_flight
GROUP BY account

-- name: windows
SELECT account, stream, verdict, count(*) AS windows FROM sync.windows GROUP BY account, stream, verdict

-- name: rows
-- Of an incomplete window no row is loaded.
SELECT account, stream, outcome, sum(rows)::bigint AS rows
FROM sync.windows CROSS JOIN LATERAL (
    VALUES ('new', rows_new), ('changed', rows_changed), ('unchanged', rows_unchanged), ('rejected', rows_rejected)
) AS counted (outcome, rows)
WHERE verdict = 'complete'
GROUP BY account, stream, outcome

-- name: runs
SELECT account, stream, state, count(*) AS runs, max(finished_at) AS run_finished_timestamp_seconds
FROM sync.runs
GROUP BY account, stream, state

-- name: coverage
SELECT account, stream, max(covered_to) AS covered_to_timestamp_seconds
FROM sync.coverage
WHERE project_ids = '{}'
GROUP BY account, stream

-- name: nights
SELECT DISTINCT ON (account) account, rows_new AS night_rows_new, rows_late AS night_rows_late
FROM sync.nights
ORDER BY account, last_day DESC, run_id DESC

-- name: rejects
SELECT account, stream, count(*) AS rejects FROM core.rejects GROUP BY account, stream

-- name: alerts
SELECT account, kind, count(*) AS alerts_open FROM sync.alerts WHERE resolved_at IS NULL GROUP BY account, kind

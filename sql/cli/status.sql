-- name: store
SELECT account, count(*) AS operations, min(operation_completed_at) AS first_completed,
       max(operation_completed_at) AS last_completed, max(observed_at) AS last_observed
FROM core.operations
GROUP BY account
ORDER BY account

-- name: documents
SELECT account, stream, count(*) AS documents, max(observed_at) AS last_changed,
       (SELECT max(w.walk_started_at) FROM sync.windows w
        WHERE w.account = d.account AND w.stream = d.stream AND w.verdict = 'complete') AS last_walked
FROM core.documents d
GROUP BY account, stream
ORDER BY account, stream

-- name: coverage
SELECT account, covered_from, covered_to
FROM sync.coverage
WHERE stream = 'operations' AND project_ids = '{}'
ORDER BY account, covered_from

-- name: holes
-- What lies between two stretches shown complete: not walked yet, or not shown complete. A snapshot of documents is a
-- single moment, and nothing is missing between two of them.
SELECT account, stream, hole_from, hole_to
FROM (
    SELECT account, stream, covered_to AS hole_from,
           lead(covered_from) OVER (PARTITION BY account, stream ORDER BY covered_from) AS hole_to
    FROM sync.coverage
    WHERE project_ids = '{}' AND NOT (stream LIKE 'documents:%' AND covered_from = covered_to)
) AS gaps
WHERE hole_to IS NOT NULL
ORDER BY account, stream, hole_from

-- name: requests_in_flight
SELECT account, in_flight_limit, is_active AND seen_at > clock_timestamp() - interval '6 minutes' AS is_at_work, seen_at
FROM (
    SELECT *, row_number() OVER (PARTITION BY account ORDER BY seen_at DESC) AS number FROM sync.requests_in_flight
) AS processes
WHERE number = 1 OR (is_active AND seen_at > clock_timestamp() - interval '6 minutes')
ORDER BY account, seen_at DESC

-- name: last_balances
SELECT account, balance_name, currency, amount_minor, captured_at
FROM core.balance_snapshots b
WHERE run_id = (
    SELECT max(r.run_id) FROM sync.runs r
    WHERE r.account = b.account AND r.stream = 'balances' AND r.state = 'complete'
)
ORDER BY account, position, currency

-- name: rejects
WITH reasons AS (
    SELECT account, stream, reason, count(*) AS rows, max(last_seen_at) AS last_seen_at,
           row_number() OVER (ORDER BY count(*) DESC, account, stream, reason) <= 10 AS is_named
    FROM core.rejects
    GROUP BY account, stream, reason
)
SELECT account, stream, CASE WHEN is_named THEN reason ELSE 'other reasons' END AS reason,
       CAST(sum(rows) AS bigint) AS rows, max(last_seen_at) AS last_seen_at
FROM reasons
GROUP BY account, stream, is_named, 3
ORDER BY is_named DESC, rows DESC, account, stream

-- name: runs
-- A run without an end whose lock is gone was killed.
SELECT run_id, account, stream, interval_from, interval_to, project_ids, started_at, finished_at,
       CASE WHEN sync.was_killed(r) THEN 'killed' ELSE state END AS state, message
FROM sync.runs r
WHERE CAST(:account AS text) IS NULL OR account = :account
ORDER BY run_id DESC
LIMIT :most

-- name: server
SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_user AS role,
       has_database_privilege(current_database(), 'CREATE') AS may_create

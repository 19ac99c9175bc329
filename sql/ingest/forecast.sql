-- name: speed
-- Rows a second of the last complete runs that were long enough to tell.
SELECT (sum(rows) / sum(seconds))::float8 AS rows_a_second
FROM (
    SELECT sum(w.rows_met) AS rows, extract(epoch FROM r.finished_at - r.started_at) AS seconds
    FROM sync.runs r
    JOIN sync.windows w USING (run_id)
    WHERE r.account = :account AND r.stream = 'operations' AND r.state = 'complete'
    GROUP BY r.run_id
    HAVING sum(w.rows_met) >= 10000
    ORDER BY r.run_id DESC
    LIMIT 5
) AS runs
HAVING sum(seconds) > 0

-- name: walked
-- Complete windows of exactly these projects that touch the days, with their run and the rows they met.
SELECT interval_from, interval_to, run_id, rows_met
FROM sync.windows
WHERE account = :account AND stream = 'operations' AND verdict = 'complete'
  AND project_ids = CAST(:project_ids AS bigint[])
  AND interval_from <= :last AND interval_to >= :first

-- A run without an end whose lock is gone was killed.
SELECT run_id, account, stream, interval_from, interval_to, project_ids, started_at, finished_at,
       CASE WHEN sync.was_killed(r) THEN 'killed' ELSE state END AS state, message
FROM sync.runs r
WHERE CAST(:account AS text) IS NULL OR account = :account
ORDER BY run_id DESC
LIMIT :most

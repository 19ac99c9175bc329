-- A run without an end whose database connection is gone was killed.
SELECT run_id, account, stream, interval_from, interval_to, project_ids, started_at, finished_at, state, message
FROM sync.runs
WHERE CAST(:account AS text) IS NULL OR account = :account
ORDER BY run_id DESC
LIMIT :most

-- How did the last runs end?
-- The last twenty, with what they brought and why one is not complete.
SELECT started_at, account, stream, state, seconds, rows_new, rows_changed, message
FROM bi.ops_runs
ORDER BY started_at DESC
LIMIT 20

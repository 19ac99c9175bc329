-- The last run of the account to end, if the platform refused its token.
SELECT run_id, message, started_at FROM (
    SELECT run_id, message, state, started_at FROM sync.runs
    WHERE account = :account AND state <> 'running'
    ORDER BY run_id DESC LIMIT 1
) AS last
WHERE state = 'failed' AND message ~ '^the platform answered 40[13] '

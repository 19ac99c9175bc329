SELECT account, stream, state, count(*) AS runs, max(finished_at) AS last_finished_at
FROM sync.runs
GROUP BY account, stream, state

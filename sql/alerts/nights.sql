-- The last night's figures, and what is usual: the nights before it, the first run of each.
SELECT last_day, rows_new, rows_late
FROM (
    SELECT DISTINCT ON (last_day) last_day, rows_new, rows_late
    FROM sync.nights WHERE account = :account
    ORDER BY last_day, run_id
) AS nights
ORDER BY last_day DESC
LIMIT 29

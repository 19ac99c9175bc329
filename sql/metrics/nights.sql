SELECT DISTINCT ON (account) account, rows_new, rows_late
FROM sync.nights
ORDER BY account, last_day DESC, run_id DESC

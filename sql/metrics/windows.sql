SELECT account, stream, verdict, count(*) AS windows, sum(rows_new)::bigint AS rows_new,
       sum(rows_changed)::bigint AS rows_changed, sum(rows_unchanged)::bigint AS rows_unchanged,
       sum(rows_rejected)::bigint AS rows_rejected
FROM sync.windows
GROUP BY account, stream, verdict

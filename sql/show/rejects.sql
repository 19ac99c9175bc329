SELECT account, stream, reason, count(*) AS rows, max(last_seen_at) AS last_seen_at
FROM core.rejects
GROUP BY account, stream, reason
ORDER BY rows DESC
LIMIT 10

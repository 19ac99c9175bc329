SELECT reason, count(*) AS rows, max(last_seen_at) AS last_seen_at
FROM core.rejects
WHERE run_id = ANY(:run_ids)
GROUP BY reason
ORDER BY rows DESC
LIMIT 100

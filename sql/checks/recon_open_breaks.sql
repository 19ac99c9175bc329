SELECT break_type, age_bucket, count(*) AS rows
FROM recon.aged_breaks
WHERE account = :account AND state = 'open'
GROUP BY break_type, age_bucket
ORDER BY rows DESC

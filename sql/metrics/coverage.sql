SELECT account, stream, max(covered_to) AS covered_to
FROM sync.coverage
WHERE project_ids = '{}'
GROUP BY account, stream

SELECT account, covered_from, covered_to
FROM sync.coverage
WHERE stream = 'operations' AND project_ids = '{}'
ORDER BY account, covered_from

SELECT account, count(*) AS operations, min(operation_completed_at) AS first_completed,
       max(operation_completed_at) AS last_completed, max(observed_at) AS last_observed
FROM core.operations
GROUP BY account
ORDER BY account

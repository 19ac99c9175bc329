-- The last second of all projects' operations that was walked and shown complete; NULL: none.
SELECT max(interval_to) AS covered_to FROM sync.windows
WHERE account = :account AND stream = 'operations' AND project_ids = '{}' AND verdict = 'complete'

-- One row if every project's operations of that moment were walked and shown complete.
SELECT 1 FROM sync.windows
WHERE account = :account AND stream = 'operations' AND project_ids = '{}' AND verdict = 'complete'
  AND interval_from <= :moment AND interval_to >= :moment
LIMIT 1

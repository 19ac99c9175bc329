-- Complete windows of exactly these projects that touch the days, with their run and the rows they met.
SELECT interval_from, interval_to, run_id, rows_met
FROM sync.windows
WHERE account = :account AND stream = 'operations' AND verdict = 'complete'
  AND project_ids = CAST(:project_ids AS bigint[])
  AND interval_from <= :last AND interval_to >= :first

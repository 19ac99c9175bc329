-- The account's runs of this Dagster run over a stream; without any, the last one.
SELECT run_id FROM sync.runs WHERE account = :account AND stream = :stream AND dagster_run_id = :dagster_run_id
UNION
SELECT max(run_id) FROM sync.runs WHERE account = :account AND stream = :stream AND state <> 'running'
    AND NOT EXISTS (
        SELECT FROM sync.runs
        WHERE account = :account AND stream = :stream AND dagster_run_id = :dagster_run_id)
HAVING max(run_id) IS NOT NULL

SELECT dagster_run_id FROM sync.runs WHERE dagster_run_id = ANY(CAST(:dagster_run_ids AS text[]))

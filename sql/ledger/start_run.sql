INSERT INTO sync.runs (account, stream, interval_from, interval_to, project_ids, dagster_run_id, product_version)
VALUES (:account, :stream, :interval_from, :interval_to, :project_ids, :dagster_run_id, :product_version)
RETURNING run_id

UPDATE sync.runs SET finished_at = clock_timestamp(), state = :state, message = :message, requests = :requests
WHERE run_id = :run_id

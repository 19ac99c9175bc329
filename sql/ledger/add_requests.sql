INSERT INTO sync.requests (account, run_id, endpoint, status, requests, retries)
SELECT account, run_id, :endpoint, :status, :requests, :retries FROM sync.runs WHERE run_id = :run_id
ON CONFLICT (account, run_id, endpoint, status) DO UPDATE
SET requests = sync.requests.requests + excluded.requests, retries = sync.requests.retries + excluded.retries

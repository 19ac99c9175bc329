SELECT account, endpoint, status, sum(requests)::bigint AS requests, sum(retries)::bigint AS retries
FROM sync.requests
GROUP BY account, endpoint, status

-- How often does the platform make us ask again?
-- Requests and retries by day and stream, last 14 days.
SELECT date(started_at AT TIME ZONE 'UTC') AS day, stream, sum(requests) AS requests, sum(requests_retried) AS retried
FROM bi.ops_runs
WHERE started_at >= now() - interval '14 days'
GROUP BY day, stream
ORDER BY day, stream

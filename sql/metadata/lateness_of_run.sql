-- How long after their completion the operations that this run met first were seen.
SELECT bucket.label AS lateness, count(*) AS operations
FROM sync.windows w
JOIN core.operations o USING (window_id)
CROSS JOIN LATERAL (SELECT extract(epoch FROM o.first_seen_at - o.operation_completed_at) / 3600 AS hours) AS late
JOIN (VALUES (-1e9, 1, 'under 1 hour'), (1, 6, '1 to 6 hours'), (6, 24, '6 to 24 hours'), (24, 48, '1 to 2 days'),
             (48, 72, '2 to 3 days'), (72, 168, '3 to 7 days'), (168, 1e9, 'over 7 days'))
    AS bucket (from_hours, to_hours, label) ON late.hours >= bucket.from_hours AND late.hours < bucket.to_hours
WHERE w.run_id = :run_id AND o.first_seen_at = o.observed_at
GROUP BY bucket.label, bucket.from_hours
ORDER BY bucket.from_hours

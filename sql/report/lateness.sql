-- How long after their completion the operations of the day were first seen.
SELECT bucket.label AS bucket, count(*) AS operations
FROM core.operations o
JOIN (VALUES (interval '-100 years', interval '1 hour', 'under 1 hour'),
             (interval '1 hour', interval '6 hours', '1 to 6 hours'),
             (interval '6 hours', interval '24 hours', '6 to 24 hours'),
             (interval '24 hours', interval '48 hours', '1 to 2 days'),
             (interval '48 hours', interval '72 hours', '2 to 3 days'),
             (interval '72 hours', interval '100 years', 'over 3 days')) AS bucket (low, high, label)
    ON o.first_seen_at - o.operation_completed_at >= bucket.low
   AND o.first_seen_at - o.operation_completed_at < bucket.high
WHERE o.account = :account
  AND o.operation_completed_at >= CAST(:first AS timestamp) AT TIME ZONE :zone
  AND o.operation_completed_at < CAST(:after AS timestamp) AT TIME ZONE :zone
GROUP BY bucket.label, bucket.low
ORDER BY bucket.low

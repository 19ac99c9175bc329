-- How long after their completion the operations that this run met first were seen. Counted by number of the bucket,
-- over intervals: with the labels joined to every row, and hours as numeric, it took most of a run's last seconds.
WITH late AS (
    SELECT width_bucket(o.first_seen_at - o.operation_completed_at,
                        ARRAY['1 hour', '6 hours', '24 hours', '48 hours', '72 hours', '168 hours']::interval[]) AS bucket
    FROM sync.windows w
    JOIN core.operations o USING (window_id)
    WHERE w.run_id = :run_id AND o.first_seen_at = o.observed_at AND o.operation_completed_at IS NOT NULL
)
SELECT (ARRAY['under 1 hour', '1 to 6 hours', '6 to 24 hours', '1 to 2 days', '2 to 3 days', '3 to 7 days',
              'over 7 days'])[bucket + 1] AS lateness,
       count(*) AS operations
FROM late
GROUP BY bucket
ORDER BY bucket

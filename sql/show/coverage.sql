-- Seconds shown complete, over all projects, as stretches without a hole.
SELECT account, lower(stretch) AS covered_from, upper(stretch) - interval '1 second' AS covered_to
FROM (
    SELECT account, unnest(range_agg(tstzrange(interval_from, interval_to + interval '1 second'))) AS stretch
    FROM sync.windows
    WHERE verdict = 'complete' AND stream = 'operations' AND project_ids = '{}'
    GROUP BY account
) AS stretches
ORDER BY account, covered_from

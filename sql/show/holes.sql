-- What lies between two stretches shown complete: not walked yet, or not shown complete.
SELECT account, stream, hole_from, hole_to
FROM (
    SELECT account, stream, covered_to + interval '1 second' AS hole_from,
           lead(covered_from) OVER (PARTITION BY account, stream ORDER BY covered_from) - interval '1 second' AS hole_to
    FROM sync.coverage
    WHERE project_ids = '{}'
) AS gaps
WHERE hole_to IS NOT NULL
ORDER BY account, stream, hole_from

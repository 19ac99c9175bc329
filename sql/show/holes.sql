-- What lies between two stretches shown complete: not walked yet, or not shown complete. A snapshot of documents is a
-- stretch of one second, and nothing is missing between two of them.
SELECT account, stream, hole_from, hole_to
FROM (
    SELECT account, stream, covered_to + interval '1 second' AS hole_from,
           lead(covered_from) OVER (PARTITION BY account, stream ORDER BY covered_from) - interval '1 second' AS hole_to
    FROM sync.coverage
    WHERE project_ids = '{}' AND NOT (stream LIKE 'documents:%' AND covered_from = covered_to)
) AS gaps
WHERE hole_to IS NOT NULL
ORDER BY account, stream, hole_from

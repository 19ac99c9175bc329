-- Days from the first that was ever complete (at most :reach days back) to :last_day that are not shown complete.
SELECT day::date AS day
FROM generate_series(
    greatest(
        CAST(:last_day AS date) - CAST(:reach AS integer),
        coalesce((
            SELECT (min(covered_from) AT TIME ZONE 'UTC')::date FROM sync.coverage
            WHERE account = :account AND stream = 'operations' AND project_ids = '{}'
        ), CAST(:last_day AS date))
    )::timestamp,
    CAST(:last_day AS date)::timestamp, interval '1 day'
) AS day
WHERE NOT EXISTS (
    SELECT FROM sync.coverage c
    WHERE c.account = :account AND c.stream = 'operations' AND c.project_ids = '{}'
      AND c.covered_from <= day AT TIME ZONE 'UTC'
      AND c.covered_to >= (day + interval '1 day' - interval '1 second') AT TIME ZONE 'UTC'
)
ORDER BY day

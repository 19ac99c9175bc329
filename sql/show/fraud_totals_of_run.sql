SELECT total ->> 'currency' AS currency, total ->> 'type' AS type,
       sum((total ->> 'count')::bigint)::bigint AS row_count, sum((total ->> 'minor')::numeric) AS minor
FROM sync.windows, jsonb_array_elements(totals_met) AS total
WHERE run_id = :run_id
GROUP BY 1, 2
ORDER BY 1 NULLS LAST, 3 DESC

SELECT DISTINCT total ->> 'currency' AS currency
FROM sync.windows, jsonb_array_elements(totals_met) AS total
WHERE run_id = ANY(:run_ids) AND total ->> 'currency' IS NOT NULL

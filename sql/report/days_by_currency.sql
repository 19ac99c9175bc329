-- Count and volume of each business day and currency; days are cut in the reporting zone, by completion.
SELECT (o.operation_completed_at AT TIME ZONE :zone)::date AS business_date,
       coalesce(o.sum_initial_currency, 'none') AS currency,
       count(*) AS operations,
       count(*) FILTER (WHERE s.is_final AND o.operation_type IN ('sale', 'auth', 'recurring')) AS attempts,
       count(*) FILTER (WHERE s.is_success AND o.operation_type IN ('sale', 'auth', 'recurring')) AS approved,
       coalesce(sum(o.sum_initial_amount) FILTER (WHERE s.is_success AND t.sign > 0), 0) AS credit_minor,
       coalesce(sum(o.sum_initial_amount) FILTER (WHERE s.is_success AND t.sign < 0), 0) AS debit_minor
FROM core.operations o
LEFT JOIN core.operation_types t USING (operation_type)
LEFT JOIN core.operation_statuses s USING (operation_status)
WHERE o.account = :account
  AND o.operation_completed_at >= CAST(:first AS timestamp) AT TIME ZONE :zone
  AND o.operation_completed_at < CAST(:after AS timestamp) AT TIME ZONE :zone
GROUP BY 1, 2
ORDER BY 1, 2

-- Operations still pending after two days
-- By type and status, with their amount: what waits for an answer, or was never closed. Of the last 90 days.
SELECT o.operation_type, o.operation_status, o.currency, sum(o.operations) AS operations, sum(o.amount) AS amount,
       min(o.business_date) AS oldest_date
FROM bi.daily_overview o
JOIN bi.dim_operation_status s USING (operation_type, operation_status)
WHERE NOT s.is_final AND o.business_date BETWEEN bi.today() - 90 AND bi.today() - 2
GROUP BY o.operation_type, o.operation_status, o.currency
ORDER BY operations DESC, o.operation_type, o.operation_status, o.currency

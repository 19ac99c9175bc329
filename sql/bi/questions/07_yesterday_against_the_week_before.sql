-- Yesterday against the same weekday a week before
-- Approved volume by currency.
SELECT o.currency,
       sum(o.amount) FILTER (WHERE o.business_date = bi.today() - 1) AS yesterday_amount,
       sum(o.amount) FILTER (WHERE o.business_date = bi.today() - 8) AS week_before_amount
FROM bi.daily_overview o
JOIN bi.dim_operation_status s USING (operation_type, operation_status)
WHERE s.sign = 1 AND o.business_date IN (bi.today() - 1, bi.today() - 8)
GROUP BY o.currency
ORDER BY o.currency

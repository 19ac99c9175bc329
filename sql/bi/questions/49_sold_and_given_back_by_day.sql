-- What was sold and given back each day?
-- By currency, of the last 30 business days: sales, captures and recurring, beside refunds and reversals.
SELECT o.business_date, o.currency, sum(o.amount) FILTER (WHERE s.sign = 1) AS sold_amount,
       sum(o.amount) FILTER (WHERE s.sign = -1 AND o.operation_type IN ('refund', 'reversal')) AS refunded_amount
FROM bi.daily_overview o
JOIN bi.dim_operation_status s USING (operation_type, operation_status)
WHERE o.business_date >= bi.today() - 30 AND o.business_date < bi.today() AND s.sign <> 0
GROUP BY o.business_date, o.currency
ORDER BY o.business_date, o.currency

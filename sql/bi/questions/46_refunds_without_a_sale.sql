-- Which refunds have no sale?
-- Given back in the last 90 days, though the store holds no sale of the payment before it: look further back.
SELECT account, project_id, payment_id, operation_type, amount, currency, refunded_at
FROM bi.fct_refunds
WHERE refunded_date >= bi.today() - 90 AND sold_at IS NULL
ORDER BY refunded_at
LIMIT 100

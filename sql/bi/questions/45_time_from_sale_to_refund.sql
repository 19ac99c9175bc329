-- How long after the sale do customers get their money back?
-- Refunds and reversals of the last 90 days, by days since the sale.
SELECT operation_type, width_bucket(days_to_refund, ARRAY[0, 1, 8, 31, 91]) AS bucket, min(days_to_refund) AS from_days,
       max(days_to_refund) AS to_days, count(*) AS refunds
FROM bi.fct_refunds
WHERE refunded_date >= bi.today() - 90 AND sold_date IS NOT NULL
GROUP BY operation_type, bucket
ORDER BY operation_type, bucket

-- Refund rate by project
-- Of the last 30 business days: successful refunds and reversals as a share of successful sales, captures and recurring.
SELECT o.project_id, p.project_name, o.currency,
       sum(o.amount) FILTER (WHERE s.sign = 1) AS sold_amount,
       sum(o.amount) FILTER (WHERE s.sign = -1 AND o.operation_type IN ('refund', 'reversal')) AS refunded_amount,
       round(sum(o.amount_minor) FILTER (WHERE s.sign = -1 AND o.operation_type IN ('refund', 'reversal'))
             / nullif(sum(o.amount_minor) FILTER (WHERE s.sign = 1), 0), 4) AS refund_rate
FROM bi.daily_overview o
JOIN bi.dim_operation_status s USING (operation_type, operation_status)
JOIN bi.dim_project p USING (account, project_id)
WHERE o.business_date >= bi.today() - 30 AND o.business_date < bi.today()
GROUP BY o.project_id, p.project_name, o.currency
ORDER BY refund_rate DESC NULLS LAST, o.project_id, o.currency

-- On which sale days was most given back?
-- Days of the last 90 with the highest refund rate, where there were at least ten sales.
SELECT sold_date, project_id, currency, sales, refunds, refund_rate
FROM bi.refund_cohorts
WHERE sold_date >= bi.today() - 90 AND sales >= 10
ORDER BY refund_rate DESC, sold_date
LIMIT 20

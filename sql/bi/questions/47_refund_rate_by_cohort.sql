-- What share of a week's sales is given back within 30 days?
-- By week and currency of the sale; the last weeks still grow.
SELECT d.week_start_date, c.currency, sum(c.sold) AS sold,
       round(sum(c.refunded_in_30_days_minor) / nullif(sum(c.sold_minor), 0), 4) AS refund_in_30_days_rate
FROM bi.refund_cohorts c
JOIN bi.dim_date d ON d.business_date = c.sold_date
WHERE c.sold_date >= bi.today() - 90
GROUP BY d.week_start_date, c.currency
ORDER BY d.week_start_date, c.currency

-- How much fraud is reported per thousand sales?
-- By month of purchase; schemes look at this ratio. Reports come weeks after the purchase: the last months are not done.
SELECT d.month_start_date, count(*) AS reports,
       round(1000 * count(*) / nullif((SELECT sum(approved) FROM bi.approval_rate_daily a JOIN bi.dim_date m USING (business_date)
                                       WHERE m.month_start_date = d.month_start_date), 0), 3) AS reports_per_thousand
FROM bi.fct_fraud f
JOIN bi.dim_date d ON d.business_date = f.purchased_date
GROUP BY d.month_start_date
ORDER BY d.month_start_date

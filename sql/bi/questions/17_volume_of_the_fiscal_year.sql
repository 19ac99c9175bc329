-- Volume of the fiscal year, by month
-- The fiscal year of today, as SYNC_FISCAL_START_MONTH has it.
SELECT d.fiscal_year, d.fiscal_month, o.currency, sum(o.amount) AS sold_amount
FROM bi.dim_date d
JOIN bi.daily_overview o USING (business_date)
JOIN bi.dim_operation_status s USING (operation_type, operation_status)
WHERE s.sign = 1 AND d.fiscal_year = (SELECT fiscal_year FROM bi.dim_date WHERE business_date = bi.today() - 1)
GROUP BY d.fiscal_year, d.fiscal_month, o.currency
ORDER BY d.fiscal_month, o.currency

-- Net movement by month and currency
-- Credits minus debits of successful operations, over the last twelve months and this one.
SELECT d.month_start_date, o.currency, sum(s.sign * o.amount) AS net_amount, sum(s.sign * o.amount_minor) AS net_minor
FROM bi.daily_overview o
JOIN bi.dim_operation_status s USING (operation_type, operation_status)
JOIN bi.dim_date d USING (business_date)
WHERE d.business_date >= (date_trunc('month', bi.today()) - interval '12 months')::date AND s.sign <> 0
GROUP BY d.month_start_date, o.currency
ORDER BY d.month_start_date, o.currency

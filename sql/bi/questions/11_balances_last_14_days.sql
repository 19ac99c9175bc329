-- Closing balances, last 14 days
-- The last snapshot of each day, and how low the balance went.
SELECT business_date, balance_name, currency, closing, lowest, closing_minor
FROM bi.fct_balances_daily
WHERE business_date >= bi.today() - 14
ORDER BY balance_name, currency, business_date

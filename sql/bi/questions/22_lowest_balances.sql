-- How low did each balance go this month?
-- The lowest snapshot of the last 30 days, beside the last closing.
SELECT account, balance_name, currency, min(lowest) AS lowest,
       (array_agg(closing ORDER BY business_date DESC))[1] AS last_closing
FROM bi.fct_balances_daily
WHERE business_date >= bi.today() - 30
GROUP BY account, balance_name, currency
ORDER BY account, balance_name, currency

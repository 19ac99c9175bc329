-- Approval rate by day, last 30 days
-- Rates are divided from summed counts: never average the rates of several rows.
SELECT business_date, sum(attempts) AS attempts, sum(approved) AS approved,
       round(sum(approved) / sum(attempts), 4) AS approval_rate
FROM bi.approval_rate_daily
WHERE business_date >= bi.today() - 30
GROUP BY business_date
ORDER BY business_date

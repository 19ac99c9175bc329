-- Do retries pay?
-- Payments of the last 90 days that were tried again after a decline or an error, and how they ended.
SELECT outcome, count(*) AS payments, round(avg(retries), 2) AS mean_retries,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY minutes_to_approval) AS median_minutes_to_approval
FROM bi.fct_retries
WHERE first_failed_date >= bi.today() - 90
GROUP BY outcome
ORDER BY outcome

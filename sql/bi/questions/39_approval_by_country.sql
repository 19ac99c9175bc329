-- Which countries approve, and which do not?
-- Last 30 days by the issuer's country, where there were at least ten attempts; needs country_by_bin in SYNC_FIELDS.
SELECT country_by_bin, sum(attempts) AS attempts, sum(declined) AS declined,
       round(sum(approved) / sum(attempts), 4) AS approval_rate
FROM bi.approval_by_method_daily
WHERE business_date >= bi.today() - 30
GROUP BY country_by_bin
HAVING sum(attempts) >= 10
ORDER BY approval_rate, country_by_bin

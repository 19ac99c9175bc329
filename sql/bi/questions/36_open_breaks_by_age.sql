-- How old are the open breaks?
-- By age and currency, with what is at stake.
SELECT age_bucket, currency, sum(breaks) AS breaks, sum(breaks_overdue) AS overdue, sum(amount_minor) AS amount_minor
FROM bi.recon_open_breaks
GROUP BY age_bucket, currency
ORDER BY min(oldest_days), currency

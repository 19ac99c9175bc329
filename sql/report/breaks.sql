-- Breaks of days up to this one that are still open, by type, age and currency.
SELECT break_type, age_bucket AS age, currency, count(*) AS count, sum(abs(amount_minor))::bigint AS amount_minor
FROM recon.aged_breaks
WHERE account = :account AND business_date <= :day AND state = 'open'
GROUP BY break_type, age_bucket, currency
ORDER BY max(age_days) DESC, break_type, currency

-- What is known by now of days closed before: both dates of knowledge, by day, currency and kind.
SELECT business_date, close_no, kind, sealed_known_at, max(restated_known_at) AS restated_known_at,
       coalesce(currency_before, currency_after) AS currency, count(*) AS count,
       sum(minor_before)::text AS minor_before, sum(minor_after)::text AS minor_after
FROM recon.restatements
WHERE account = :account AND business_date < :day
GROUP BY 1, 2, 3, 4, 6
ORDER BY 1, 3, 6

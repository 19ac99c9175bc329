-- Breaks of the day and of the days before it that are not resolved, by type, state, age on the day after, currency.
SELECT b.break_type, b.state,
       CASE WHEN age.days <= 1 THEN '0–1' WHEN age.days <= 3 THEN '2–3' WHEN age.days <= 7 THEN '4–7'
            WHEN age.days <= 30 THEN '8–30' ELSE 'over 30' END AS age,
       b.currency, count(*) AS count, sum(abs(b.amount_minor))::text AS minor
FROM recon.breaks b
CROSS JOIN LATERAL (SELECT CAST(:day AS date) + 1 - b.business_date AS days) AS age
WHERE b.account = :account AND b.state <> 'resolved' AND b.business_date <= :day
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4

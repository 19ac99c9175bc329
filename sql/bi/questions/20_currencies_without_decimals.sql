-- Which amounts have no major units?
-- Currencies that neither ISO 4217 nor SYNC_CURRENCY_EXPONENTS knows: their amounts are there in minor units alone.
SELECT o.currency, sum(o.operations) AS operations, sum(o.amount_minor) AS amount_minor
FROM bi.daily_overview o
LEFT JOIN bi.dim_currency c ON c.currency = o.currency AND c.is_current
WHERE c.currency IS NULL
GROUP BY o.currency
ORDER BY o.currency

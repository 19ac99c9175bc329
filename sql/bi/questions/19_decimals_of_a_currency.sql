-- How many decimals has each currency that I take?
-- What holds today, and whether the platform counts otherwise than ISO 4217.
SELECT c.currency, c.exponent, c.smallest_unit, c.is_override, sum(o.operations) AS operations
FROM bi.dim_currency c
JOIN bi.daily_overview o USING (currency)
WHERE c.is_current
GROUP BY c.currency, c.exponent, c.smallest_unit, c.is_override
ORDER BY operations DESC, c.currency

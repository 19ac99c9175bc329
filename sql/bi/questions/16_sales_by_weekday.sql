-- On which weekdays do customers buy?
-- Approved operations of the last eight weeks, by weekday and currency; 1 is Monday.
SELECT d.iso_weekday, o.currency, sum(o.approved) AS approved, sum(o.approved_amount) AS approved_amount
FROM bi.approval_rate_daily o
JOIN bi.dim_date d USING (business_date)
WHERE o.business_date >= bi.today() - 56 AND o.business_date < bi.today()
GROUP BY d.iso_weekday, o.currency
ORDER BY d.iso_weekday, o.currency

-- Approved volume per currency last week
-- Money taken in the last whole ISO week (Monday to Sunday, reporting zone): successful sale, capture and recurring.
SELECT o.currency, sum(o.operations) AS operations, sum(o.amount) AS approved_amount, sum(o.amount_minor) AS approved_minor
FROM bi.daily_overview o
JOIN bi.dim_operation_status s USING (operation_type, operation_status)
WHERE s.sign = 1
  AND o.business_date >= date_trunc('week', bi.today())::date - 7
  AND o.business_date < date_trunc('week', bi.today())::date
GROUP BY o.currency
ORDER BY o.currency

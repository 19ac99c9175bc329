-- The last snapshot of each balance on each business day.
SELECT DISTINCT ON (business_date, balance_name, currency, position)
       (captured_at AT TIME ZONE :zone)::date AS business_date, balance_name, currency, amount_minor
FROM core.balance_snapshots
WHERE account = :account
  AND captured_at >= CAST(:first AS timestamp) AT TIME ZONE :zone
  AND captured_at < CAST(:after AS timestamp) AT TIME ZONE :zone
ORDER BY business_date, balance_name, currency, position, captured_at DESC

-- Which days are not closed yet?
-- Reconciled days of the last 60 that finance has not closed, and what stands in the way.
SELECT account, business_date, completeness, open_breaks, books_at
FROM bi.recon_days
WHERE NOT is_closed AND business_date >= bi.today() - 60
ORDER BY business_date, account

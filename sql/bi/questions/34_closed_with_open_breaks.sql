-- Which days were closed although breaks were open?
-- What an auditor asks first.
SELECT account, business_date, closed_at, open_breaks
FROM bi.recon_days
WHERE is_closed_with_open_breaks
ORDER BY business_date, account

-- The sealed document of a closed day.
SELECT c.document
FROM recon.closed_days d
JOIN recon.closes c USING (account, close_no)
WHERE d.account = :account AND d.business_date = :day

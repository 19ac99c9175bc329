-- The sealed document of a closed day, and who closed it.
SELECT c.document, c.prepared_by, c.decided_by, c.known_at
FROM recon.closed_days d
JOIN recon.closes c USING (account, close_no)
WHERE d.account = :account AND d.business_date = :day

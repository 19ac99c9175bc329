-- The row that closed a day, if it is closed.
SELECT c.close_no, c.document, encode(c.document_sha256, 'hex') AS sha256, encode(c.entry_hash, 'hex') AS entry_hash,
       c.entry_hash = recon.close_hash(c) AS is_intact
FROM recon.closes c
JOIN recon.closed_days d ON d.account = c.account AND d.close_no = c.close_no
WHERE c.account = :account AND d.business_date = :day

SELECT currency, count(*) AS breaks, sum(abs(amount_minor))::text AS minor
FROM recon.breaks
WHERE account = :account AND state = 'open'
GROUP BY currency

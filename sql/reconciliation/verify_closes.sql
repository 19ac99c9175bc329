-- The first row of each account's chain of closed days that is not what was written, and why.
SELECT DISTINCT ON (account) account, close_no, business_date,
       CASE WHEN close_no <> expected_no THEN 'rows before it were removed or reordered'
            WHEN previous_hash <> expected_hash THEN 'it does not follow the row before it'
            ELSE 'it was altered' END AS reason
FROM (
    SELECT c.*, recon.close_hash(c) AS true_hash,
           coalesce(lag(close_no) OVER chain, 0) + 1 AS expected_no,
           coalesce(lag(entry_hash) OVER chain, decode(repeat('00', 32), 'hex')) AS expected_hash
    FROM recon.closes c
    WINDOW chain AS (PARTITION BY account ORDER BY close_no)
) AS chained
WHERE close_no <> expected_no OR previous_hash <> expected_hash OR entry_hash <> true_hash
ORDER BY account, close_no

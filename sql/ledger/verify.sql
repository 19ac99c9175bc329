-- The first entry of each account's chain, or of one account's, that is not what was written, and why.
SELECT DISTINCT ON (account) account, entry_no, window_id, interval_from, interval_to,
       CASE WHEN entry_no <> expected_no THEN 'entries before it were removed or reordered'
            WHEN previous_hash <> expected_hash THEN 'it does not follow the entry before it'
            ELSE 'it was altered' END AS reason
FROM (
    SELECT w.*, sync.entry_hash(w) AS true_hash,
           coalesce(lag(entry_no) OVER chain, 0) + 1 AS expected_no,
           coalesce(lag(entry_hash) OVER chain, decode(repeat('00', 32), 'hex')) AS expected_hash
    FROM sync.windows w
    WHERE CAST(:account AS text) IS NULL OR w.account = :account
    WINDOW chain AS (PARTITION BY account ORDER BY entry_no)
) AS chained
WHERE entry_no <> expected_no OR previous_hash <> expected_hash OR entry_hash <> true_hash
ORDER BY account, entry_no

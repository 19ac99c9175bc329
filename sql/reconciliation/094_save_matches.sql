INSERT INTO recon.matches (account, operation_id, entry_id, match_id, business_date, pass, match_key, score, shape)
SELECT :account, n.operation_id, n.entry_id, n.match_id, :day, n.pass, n.match_key, n.score, n.shape
FROM new_links n
WHERE NOT EXISTS (
    SELECT FROM recon.matches m
    WHERE m.account = :account AND m.business_date = :day
      AND m.operation_id = n.operation_id AND m.entry_id = n.entry_id
)

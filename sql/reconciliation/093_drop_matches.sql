-- Matches of the day that no longer hold.
DELETE FROM recon.matches m
WHERE m.account = :account AND m.business_date = :day
  AND NOT EXISTS (
      SELECT FROM new_links n
      WHERE n.operation_id = m.operation_id AND n.entry_id = m.entry_id AND n.match_id = m.match_id
        AND n.pass = m.pass AND n.match_key = m.match_key AND n.score = m.score AND n.shape = m.shape
  )

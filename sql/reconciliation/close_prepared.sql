-- The preparation that counts: the last one since the day was last closed or opened again.
SELECT p.prepared_by, p.prepared_at, p.database_user, p.figures_sha256
FROM recon.close_preparations p
WHERE p.account = :account AND p.business_date = :day
  AND p.prepared_at > coalesce((
      SELECT max(c.written_at) FROM recon.closes c WHERE c.account = :account AND c.business_date = :day
  ), '-infinity')
ORDER BY p.preparation_no DESC
LIMIT 1

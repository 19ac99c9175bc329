SELECT verdict, reason, walked_at, requests, rows_walked, rows_rejected, rows_missing, rows_differing, rows_gone, rows_moved,
       totals_walked, totals_stored, digest_walked, digest_stored
FROM recon.completeness
WHERE account = :account AND business_date = :day
ORDER BY walked_at DESC
LIMIT 1

-- What the last fresh walk over the day said of the store.
SELECT verdict = 'complete' AS equal
FROM recon.completeness
WHERE account = :account AND business_date = :day
ORDER BY walked_at DESC
LIMIT 1

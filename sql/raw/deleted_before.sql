-- Up to when pages were deleted because of their age, and by which setting; no row: none ever was.
SELECT received_before, raw_days FROM raw.deletions
WHERE account = :account ORDER BY received_before DESC LIMIT 1

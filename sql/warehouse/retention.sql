-- name: delete_batch
-- Deletes a batch of pages received before that moment; rows affected: how many.
DELETE FROM raw.pages
WHERE (account, page_id) IN (
    SELECT account, page_id FROM raw.pages
    WHERE account = :account AND received_at < :received_before
    ORDER BY received_at
    LIMIT :batch
)

-- name: add_deletion
INSERT INTO raw.deletions (account, received_before, raw_days, pages)
VALUES (:account, :received_before, :raw_days, :pages)

-- name: deleted_before
-- Up to when pages were deleted because of their age, and by which setting; no row: none ever was.
SELECT received_before, raw_days FROM raw.deletions
WHERE account = :account ORDER BY received_before DESC LIMIT 1

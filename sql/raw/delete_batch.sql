-- Deletes a batch of pages received before that moment; rows affected: how many.
DELETE FROM raw.pages
WHERE (account, page_id) IN (
    SELECT account, page_id FROM raw.pages
    WHERE account = :account AND received_at < :received_before
    ORDER BY received_at
    LIMIT :batch
)

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
-- deletion_no, previous_hash and entry_hash are set by the trigger raw.chain_deletion.
INSERT INTO raw.deletions (account, received_before, raw_days, pages, deletion_no, previous_hash, entry_hash)
VALUES (:account, :received_before, :raw_days, :pages, 0, ''::bytea, ''::bytea)

-- name: verify_deletions
-- The first row of each account's chain of deletions that is not what was written, and why.
SELECT DISTINCT ON (account) account, deletion_no, deleted_at,
       CASE WHEN deletion_no <> expected_no THEN 'rows before it were removed or reordered'
            WHEN previous_hash <> expected_hash THEN 'it does not follow the row before it'
            ELSE 'it was altered' END AS reason
FROM (
    SELECT d.*, raw.deletion_hash(d) AS true_hash,
           coalesce(lag(deletion_no) OVER chain, 0) + 1 AS expected_no,
           coalesce(lag(entry_hash) OVER chain, decode(repeat('00', 32), 'hex')) AS expected_hash
    FROM raw.deletions d
    WINDOW chain AS (PARTITION BY account ORDER BY deletion_no)
) AS chained
WHERE deletion_no <> expected_no OR previous_hash <> expected_hash OR entry_hash <> true_hash
ORDER BY account, deletion_no

-- name: deleted_before
-- Up to when pages were deleted because of their age, and by which setting; no row: none ever was.
SELECT received_before, raw_days FROM raw.deletions
WHERE account = :account ORDER BY received_before DESC LIMIT 1

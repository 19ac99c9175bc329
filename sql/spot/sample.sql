-- Payments of the day's sample: the same for the same day and table. Of a large table, blocks are drawn first.
SELECT payment_id
FROM (
    SELECT DISTINCT payment_id
    FROM core.operations TABLESAMPLE SYSTEM (:percent) REPEATABLE (:seed)
    WHERE account = :account AND payment_id IS NOT NULL
) AS payments
ORDER BY sha256(convert_to(:day || ' ' || payment_id, 'UTF8')), payment_id
LIMIT :sample

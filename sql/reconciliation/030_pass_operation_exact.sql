-- Pass 1: the entry names the operation, and has its amount. Of several such entries the first; the others book it again.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'operation_id', o.operation_id, 100, '1:1'
FROM (
    SELECT operation_id, currency, minor, min(entry_id) AS entry_id, bool_or(is_home) AS is_home
    FROM pool_entries WHERE operation_id IS NOT NULL
    GROUP BY operation_id, currency, minor
) AS e
JOIN pool_operations o ON o.operation_id = e.operation_id AND o.currency = e.currency AND o.minor = e.minor
WHERE o.is_home OR e.is_home

-- Pass 1, amounts aside: all entries in one currency that name the operation are its bookings (the operation's
-- currency if there is one; sums never mix currencies).
INSERT INTO new_links
SELECT operation_id, entry_id, 'o' || operation_id, 'operation_id', operation_id, 100,
       CASE WHEN count(*) OVER (PARTITION BY operation_id) = 1 THEN '1:1' ELSE '1:n' END
FROM (
    SELECT e.operation_id, e.entry_id, e.currency,
           first_value(e.currency) OVER (
               PARTITION BY e.operation_id ORDER BY e.currency IS NOT DISTINCT FROM o.currency DESC, e.currency
           ) AS chosen
    FROM left_entries e
    JOIN left_operations o ON o.operation_id = e.operation_id
    WHERE o.is_home OR e.is_home
) AS named
WHERE currency = chosen

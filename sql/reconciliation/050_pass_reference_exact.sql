-- Pass 3: ARN (then RRN) and amount; several equal ones in the order of time.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'reference', o.reference, 75, '1:1'
FROM (
    SELECT *, row_number() OVER (PARTITION BY reference, operation_type, currency, minor ORDER BY at, operation_id) AS place
    FROM (SELECT *, CASE WHEN :reference = 'arn' THEN arn ELSE rrn END AS reference FROM left_operations) AS named
    WHERE reference IS NOT NULL AND is_success
) AS o
JOIN (
    SELECT *, row_number() OVER (
        PARTITION BY reference, operation_type, currency, minor ORDER BY booked_at, entry_id
    ) AS place
    FROM left_entries WHERE reference IS NOT NULL AND operation_id IS NULL
) AS e USING (reference, operation_type, currency, minor, place)
WHERE o.is_home OR e.is_home

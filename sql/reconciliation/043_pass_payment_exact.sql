-- Pass 2: project, payment id and type, with status and amount alike; several equal ones in the order of time.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'payment',
       concat_ws('/', o.project_id, o.payment_id, o.operation_type), 90, '1:1'
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY payment_id, project_id, operation_type, operation_status, currency, minor ORDER BY at, operation_id
    ) AS place
    FROM left_operations WHERE payment_id IS NOT NULL
) AS o
JOIN (
    SELECT *, row_number() OVER (
        PARTITION BY payment_id, project_id, operation_type, status, currency, minor ORDER BY booked_at, entry_id
    ) AS place
    FROM left_entries WHERE payment_id IS NOT NULL AND operation_id IS NULL
) AS e USING (payment_id, project_id, operation_type, currency, minor, place)
WHERE o.operation_status = e.status AND (o.is_home OR e.is_home)

-- Pass 3, in sums: one entry for a batch of operations with its reference, or one operation booked in parts.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id,
       CASE WHEN e.many = 1 THEN 'e' || e.entry_id ELSE 'o' || o.operation_id END, 'reference', o.reference, 75,
       CASE WHEN e.many = 1 THEN 'n:1' ELSE '1:n' END
FROM (
    SELECT *, count(*) OVER batch AS many, sum(minor) OVER batch AS total, bool_or(is_home) OVER batch AS any_home
    FROM (SELECT *, CASE WHEN :reference = 'arn' THEN arn ELSE rrn END AS reference FROM left_operations) AS named
    WHERE reference IS NOT NULL AND is_success
    WINDOW batch AS (PARTITION BY reference, operation_type, currency)
) AS o
JOIN (
    SELECT *, count(*) OVER batch AS many, sum(minor) OVER batch AS total, bool_or(is_home) OVER batch AS any_home
    FROM left_entries WHERE reference IS NOT NULL AND operation_id IS NULL
    WINDOW batch AS (PARTITION BY reference, operation_type, currency)
) AS e USING (reference, operation_type, currency, total)
WHERE (o.many = 1) <> (e.many = 1) AND (o.any_home OR e.any_home)

-- Pass 2, amounts aside: what is left of a payment and type. One against several if the sums are equal; else in the
-- order of time. Operations that did not succeed count only where none did, and then the last one.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id,
       CASE WHEN pairs.shape = 'n:1' THEN 'e' || e.entry_id ELSE 'o' || o.operation_id END, 'payment',
       concat_ws('/', o.project_id, o.payment_id, o.operation_type), 80, pairs.shape
FROM (
    SELECT *, count(*) OVER payment AS many, sum(minor) OVER payment AS total, bool_or(is_home) OVER payment AS any_home,
           min(currency) OVER payment AS first_currency, max(currency) OVER payment AS last_currency,
           row_number() OVER (PARTITION BY payment_id, project_id, operation_type ORDER BY at, operation_id) AS place
    FROM (
        SELECT *, bool_or(is_success) OVER (PARTITION BY payment_id, project_id, operation_type) AS any_success,
               row_number() OVER (
                   PARTITION BY payment_id, project_id, operation_type ORDER BY at DESC, operation_id DESC
               ) AS from_last
        FROM left_operations WHERE payment_id IS NOT NULL
    ) AS tried
    WHERE is_success OR (NOT any_success AND from_last = 1)
    WINDOW payment AS (PARTITION BY payment_id, project_id, operation_type)
) AS o
JOIN (
    SELECT *, count(*) OVER payment AS many, sum(minor) OVER payment AS total, bool_or(is_home) OVER payment AS any_home,
           min(currency) OVER payment AS first_currency, max(currency) OVER payment AS last_currency,
           row_number() OVER (PARTITION BY payment_id, project_id, operation_type ORDER BY booked_at, entry_id) AS place
    FROM left_entries WHERE payment_id IS NOT NULL AND operation_id IS NULL
    WINDOW payment AS (PARTITION BY payment_id, project_id, operation_type)
) AS e USING (payment_id, project_id, operation_type)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN o.first_currency <> o.last_currency OR e.first_currency <> e.last_currency
            OR o.first_currency <> e.first_currency OR o.total <> e.total OR (o.many = 1) = (e.many = 1) THEN '1:1'
        WHEN o.many = 1 THEN '1:n'
        ELSE 'n:1' END AS shape
) AS pairs
WHERE (pairs.shape <> '1:1' OR o.place = e.place) AND (o.any_home OR e.any_home)

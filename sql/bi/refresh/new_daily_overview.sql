-- The figures of the stale days, read from the core by the index on the moment that decides the day.
CREATE TEMPORARY TABLE new_daily_overview ON COMMIT DROP AS
SELECT g.account, g.business_date, g.project_id, g.currency, g.operation_type, g.operation_status, g.operations,
       g.amount_minor, g.amount_minor * c.smallest_unit AS amount
FROM (
    SELECT d.account, d.business_date,
           coalesce(o.project_id, '(none)') AS project_id,
           coalesce(o.sum_initial_currency, '(none)') AS currency,
           coalesce(o.operation_type, '(none)') AS operation_type,
           coalesce(o.operation_status, '(none)') AS operation_status,
           count(*) AS operations, sum(o.sum_initial_amount)::bigint AS amount_minor
    FROM stale_days d
    JOIN core.operations o ON o.account = d.account
        AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) >= d.starts_at
        AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) < d.ends_at
    WHERE NOT EXISTS (
        SELECT FROM core.account_projects p
        WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted)
    GROUP BY 1, 2, 3, 4, 5, 6
) AS g
LEFT JOIN core.currencies c ON c.currency = g.currency
    AND c.valid_from <= g.business_date AND (c.valid_to IS NULL OR c.valid_to > g.business_date)

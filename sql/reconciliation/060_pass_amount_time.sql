-- Pass 4: amount, currency, type and a quarter of an hour, for entries that name nothing. Run again with the quarters
-- shifted by half, so that no edge parts a pair; with the project first, for entries that know it.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'amount_time',
       concat_ws('/', operation_type, currency, minor, to_char(to_timestamp(quarter * 900), 'YYYY-MM-DD HH24:MI')),
       CASE WHEN o.many = 1 AND e.many = 1 THEN 60 ELSE 50 END, '1:1'
FROM (
    SELECT *, row_number() OVER (fits ORDER BY at, operation_id) AS place, count(*) OVER fits AS many
    FROM (
        SELECT *, floor((extract(epoch FROM at) + :shift) / 900) AS quarter,
               CASE WHEN :by_project THEN project_id ELSE '' END AS project
        FROM left_operations WHERE is_required
    ) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor, quarter)
) AS o
JOIN (
    SELECT *, row_number() OVER (fits ORDER BY booked_at, entry_id) AS place, count(*) OVER fits AS many
    FROM (
        SELECT *, floor((extract(epoch FROM booked_at) + :shift) / 900) AS quarter,
               CASE WHEN :by_project THEN project_id ELSE '' END AS project
        FROM left_entries
        WHERE operation_id IS NULL AND payment_id IS NULL AND reference IS NULL AND NOT is_date_only
          AND (project_id IS NOT NULL) = :by_project
    ) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor, quarter)
) AS e USING (project, operation_type, currency, minor, quarter, place)
WHERE o.is_home OR e.is_home

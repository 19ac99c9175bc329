-- Pass 4 for entries of the day whose time is not known: the whole day instead of a quarter of an hour.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'amount_time',
       concat_ws('/', operation_type, currency, minor, CAST(:day AS date)),
       CASE WHEN o.many = 1 AND e.many = 1 THEN 60 ELSE 50 END, '1:1'
FROM (
    SELECT *, row_number() OVER (fits ORDER BY at, operation_id) AS place, count(*) OVER fits AS many
    FROM (SELECT *, CASE WHEN :by_project THEN project_id ELSE '' END AS project FROM left_operations
          WHERE is_required AND is_home) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor)
) AS o
JOIN (
    SELECT *, row_number() OVER (fits ORDER BY entry_id) AS place, count(*) OVER fits AS many
    FROM (
        SELECT *, CASE WHEN :by_project THEN project_id ELSE '' END AS project
        FROM left_entries
        WHERE operation_id IS NULL AND payment_id IS NULL AND reference IS NULL AND is_date_only AND is_home
          AND (project_id IS NOT NULL) = :by_project
    ) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor)
) AS e USING (project, operation_type, currency, minor, place)

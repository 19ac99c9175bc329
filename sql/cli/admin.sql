-- name: name_prefix
SELECT set_config('ecommpay_sync.role_prefix', :prefix, true)

-- name: schemas
SELECT nspname::text AS name, coalesce(obj_description(oid, 'pg_namespace'), '') AS explained
FROM pg_namespace
WHERE nspname = ANY(:schemas)

-- name: columns
-- Every column of every table and view; a column of a view may always be null, as far as PostgreSQL knows.
SELECT n.nspname::text AS schema_name,
       c.relname::text AS relation,
       CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END AS kind,
       coalesce(obj_description(c.oid, 'pg_class'), '') AS relation_explained,
       a.attname::text AS column_name,
       format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS is_nullable,
       coalesce(col_description(c.oid, a.attnum), '') AS explained
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
ORDER BY c.relname COLLATE "C", a.attnum

SELECT nspname::text AS name, coalesce(obj_description(oid, 'pg_namespace'), '') AS explained
FROM pg_namespace
WHERE nspname = ANY(:schemas)

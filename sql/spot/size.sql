-- About how many rows the table has; -1 until it is analysed for the first time.
SELECT reltuples::bigint AS row_count FROM pg_class WHERE oid = 'core.operations'::regclass

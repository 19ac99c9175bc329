SELECT 1 WHERE to_regclass(:table_name) IS NOT NULL

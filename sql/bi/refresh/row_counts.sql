-- Of the tables; of large ones as the server last counted them.
SELECT 'daily_overview' AS mart, count(*) AS row_count FROM bi.daily_overview
UNION ALL SELECT 'dim_date', count(*) FROM bi.dim_date
UNION ALL SELECT 'dim_project', count(*) FROM bi.dim_project
UNION ALL SELECT 'dim_operation_status', count(*) FROM bi.dim_operation_status
UNION ALL SELECT 'fct_balances_daily', count(*) FROM bi.fct_balances_daily
UNION ALL SELECT 'fct_payments', greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'bi.fct_payments'::regclass

-- For a full build: readers wait until it is committed.
TRUNCATE bi.daily_overview, bi.fct_payments, bi.fct_balances_daily, bi.dim_date, bi.dim_project, bi.dim_operation_status

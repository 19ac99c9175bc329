DELETE FROM bi.fct_balances_daily

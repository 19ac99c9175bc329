INSERT INTO bi.fct_balances_daily (
    account, business_date, balance_name, currency, opening_minor, opening, closing_minor, closing, lowest_minor,
    highest_minor, lowest, highest, snapshots, first_captured_at, last_captured_at)
SELECT
    account, business_date, balance_name, currency, opening_minor, opening, closing_minor, closing, lowest_minor,
    highest_minor, lowest, highest, snapshots, first_captured_at, last_captured_at
FROM new_balances_daily

INSERT INTO bi.daily_overview
    (account, business_date, project_id, currency, operation_type, operation_status, operations, amount_minor, amount)
SELECT account, business_date, project_id, currency, operation_type, operation_status, operations, amount_minor, amount
FROM new_daily_overview

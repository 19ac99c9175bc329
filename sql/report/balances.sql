-- Each balance over the day, as the reconciliation rolled it forward.
SELECT balance_name, currency, opening_minor, movements_minor, closing_minor, unexplained_minor
FROM recon.balance_rollforward
WHERE account = :account AND business_date = :day
ORDER BY balance_name, currency

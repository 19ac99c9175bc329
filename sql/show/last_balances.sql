SELECT account, balance_name, currency, amount_minor, captured_at
FROM core.balance_snapshots b
WHERE captured_at = (SELECT max(captured_at) FROM core.balance_snapshots m WHERE m.account = b.account)
ORDER BY account, position, currency

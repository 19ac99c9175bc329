SELECT account, balance_name, currency, amount_minor, captured_at
FROM core.balance_snapshots b
WHERE run_id = (
    SELECT max(r.run_id) FROM sync.runs r
    WHERE r.account = b.account AND r.stream = 'balances' AND r.state = 'complete'
)
ORDER BY account, position, currency

-- What did the platform itself show in the last walk?
-- The control totals of each account's last complete window of operations, as the hash-chained ledger keeps them.
SELECT account, interval_from_at, interval_to_at, currency, operation_type, operation_status, operations, amount, entry_hash
FROM bi.control_totals
WHERE (account, entry_no) IN (SELECT account, max(entry_no) FROM bi.control_totals
                              WHERE stream = 'operations' AND is_complete GROUP BY account)
ORDER BY account, currency, operation_type, operation_status

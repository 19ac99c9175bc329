-- How far every account is; of an account without a new window only the time changes.
INSERT INTO sync.mart_refreshes
    (account, mart_group, entry_no, reference_fingerprint, refreshed_at, is_full, days, payments)
SELECT w.account, 'operations', max(w.entry_no), max(s.value), transaction_timestamp(), CAST(:is_full AS boolean),
       (SELECT count(*) FROM stale_days d WHERE d.account = w.account),
       (SELECT count(*) FROM stale_payments p WHERE p.account = w.account)
FROM sync.windows w, core.settings s
WHERE s.key = 'reference_fingerprint'
GROUP BY w.account
ON CONFLICT (account, mart_group) DO UPDATE SET
    entry_no = excluded.entry_no, reference_fingerprint = excluded.reference_fingerprint,
    refreshed_at = excluded.refreshed_at, is_full = excluded.is_full, days = excluded.days,
    payments = excluded.payments

-- Ledger entries whose rows are not in the marts yet; all of them when :is_full. Commits of an account come one
-- after the other, in the order of entry_no, so that none is passed over.
CREATE TEMPORARY TABLE new_windows ON COMMIT DROP AS
SELECT w.account, w.window_id, w.entry_no, w.committed_at
FROM sync.windows w
LEFT JOIN sync.mart_refreshes m ON m.account = w.account AND m.mart_group = 'operations'
WHERE w.stream = 'operations' AND (CAST(:is_full AS boolean) OR w.entry_no > coalesce(m.entry_no, 0))

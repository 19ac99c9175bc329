-- Breaks of the day that are no longer found are resolved.
UPDATE recon.breaks b SET state = 'resolved', resolved_at = clock_timestamp(), changed_at = clock_timestamp()
WHERE b.account = :account AND b.reconciled_date = :day AND b.state <> 'resolved'
  AND (b.break_type = 'balance') = :balances
  AND NOT EXISTS (SELECT FROM found_breaks f WHERE f.break_key = b.break_key)

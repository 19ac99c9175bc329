-- What another day was waiting for has come: the break of that day clears itself.
UPDATE recon.breaks b SET state = 'resolved', resolved_at = clock_timestamp(), changed_at = clock_timestamp()
WHERE b.account = :account AND b.reconciled_date <> :day AND b.state <> 'resolved'
  AND b.break_type IN ('missing_in_ledger', 'missing_at_platform', 'timing', 'duplicate_in_ledger', 'duplicate_at_platform')
  AND (b.entry_id IS NULL AND b.operation_id IN (SELECT n.operation_id FROM new_links n)
    OR b.entry_id IN (SELECT n.entry_id FROM new_links n))

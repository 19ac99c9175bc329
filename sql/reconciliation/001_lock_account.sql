-- One reconciliation at a time for an account: two would match the same entry.
SELECT pg_advisory_xact_lock(hashtextextended('recon ' || :account, 0))

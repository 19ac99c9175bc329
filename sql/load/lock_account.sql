-- One commit at a time for an account, so that each sees what the one before it stored; the same key as the
-- ledger's trigger takes.
SELECT pg_advisory_xact_lock(hashtextextended('sync.windows ' || :account, 0))

-- Held by every run that is no backfill; several may hold it.
SELECT pg_advisory_lock_shared(hashtextextended('short run ' || %(account)s, 0))

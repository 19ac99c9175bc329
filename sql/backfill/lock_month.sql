-- The same key as ledger/lock_month.
SELECT pg_advisory_lock(hashtextextended(%(stream)s || ' ' || %(account)s, %(month)s))

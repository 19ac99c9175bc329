-- name: lock_month
SELECT pg_advisory_lock(hashtextextended(CAST(%(stream)s AS text) || ' ' || CAST(%(account)s AS text), %(month)s))

-- name: lock_range
-- The same backfill is not run twice at once; two over different days may be.
SELECT pg_advisory_lock(hashtextextended(
    'backfill ' || %(stream)s || ' ' || %(account)s || ' ' || %(first)s || ' ' || %(last)s, 0))

-- name: be_short
-- Held by every run that is no backfill; several may hold it.
SELECT pg_advisory_lock_shared(hashtextextended('short run ' || %(account)s, 0))

-- name: others_under_way
-- Whether a run that is no backfill is under way: then its lock cannot be had.
SELECT CASE WHEN pg_try_advisory_lock(hashtextextended('short run ' || %(account)s, 0))
            THEN NOT pg_advisory_unlock(hashtextextended('short run ' || %(account)s, 0))
            ELSE true END AS under_way

-- name: try_month
SELECT pg_try_advisory_lock(hashtextextended(%(stream)s || ' ' || %(account)s, %(month)s))

-- name: free_month
SELECT pg_advisory_unlock(hashtextextended(%(stream)s || ' ' || %(account)s, %(month)s))

-- name: wait
SELECT set_config('lock_timeout', %(milliseconds)s, false)

-- name: set_wait
-- How long the statements after this one wait for a lock.
SELECT set_config('lock_timeout', :milliseconds, false)

-- name: lock_short_run
-- Held by every run that is no backfill; several may hold it.
SELECT pg_advisory_lock_shared(hashtextextended('short run ' || :account, 0))

-- name: lock_backfill
-- The same backfill is not run twice at once; two over different days may be.
SELECT pg_advisory_lock(hashtextextended(
    'backfill ' || :stream || ' ' || :account || ' ' || :first || ' ' || :last, 0))

-- name: short_run_is_under_way
-- Whether a run that is no backfill is under way: then its lock cannot be had.
SELECT CASE WHEN pg_try_advisory_lock(hashtextextended('short run ' || :account, 0))
            THEN NOT pg_advisory_unlock(hashtextextended('short run ' || :account, 0))
            ELSE true END AS under_way

-- name: lock_month
SELECT pg_advisory_lock(hashtextextended(:stream || ' ' || :account, :month))

-- name: try_month
SELECT pg_try_advisory_lock(hashtextextended(:stream || ' ' || :account, :month))

-- name: free_month
SELECT pg_advisory_unlock(hashtextextended(:stream || ' ' || :account, :month))

-- name: lock_run
-- Held as long as the run's process lives; sync.was_killed looks for it.
SELECT pg_advisory_lock(20090, CAST(mod(:run_id, 2147483647) AS integer))

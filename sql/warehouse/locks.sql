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

-- name: slow_down
INSERT INTO sync.pace AS pace (account, resume_at)
VALUES (:account, clock_timestamp() + make_interval(secs => :seconds))
ON CONFLICT (account) DO UPDATE
SET resume_at = greatest(pace.resume_at, excluded.resume_at), asked_at = excluded.asked_at

-- name: exchange
-- What a process has found, and what is known of the token. A process may wait minutes for an answer before it is seen.
WITH mine AS (
    INSERT INTO sync.requests_in_flight AS r (account, process, in_flight_limit)
    VALUES (:account, :process, :in_flight_limit)
    ON CONFLICT (account, process) DO UPDATE
    SET in_flight_limit = excluded.in_flight_limit, is_active = true, seen_at = clock_timestamp()
), old AS (
    DELETE FROM sync.requests_in_flight WHERE account = :account AND seen_at < clock_timestamp() - interval '7 days'
)
SELECT coalesce((
           SELECT extract(epoch FROM resume_at - clock_timestamp()) FROM sync.pace WHERE account = :account
       ), 0)::float8 AS seconds_left,
       1 + count(*) FILTER (WHERE is_active AND seen_at > clock_timestamp() - interval '6 minutes') AS processes,
       coalesce(sum(in_flight_limit) FILTER (
           WHERE is_active AND seen_at > clock_timestamp() - interval '6 minutes'
       ), 0) AS others_in_flight,
       max(in_flight_limit) FILTER (WHERE seen_at > clock_timestamp() - interval '1 day')::float8 AS in_flight_limit
FROM sync.requests_in_flight
WHERE account = :account AND process <> :process

-- name: leave
UPDATE sync.requests_in_flight SET is_active = false WHERE account = :account AND process = :process

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

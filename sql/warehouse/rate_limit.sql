-- name: slow_down
INSERT INTO sync.pace AS pace (account, resume_at)
VALUES (:account, clock_timestamp() + make_interval(secs => :seconds))
ON CONFLICT (account) DO UPDATE
SET resume_at = greatest(pace.resume_at, excluded.resume_at), asked_at = excluded.asked_at

-- name: seconds_left
SELECT extract(epoch FROM resume_at - clock_timestamp())::float8 AS seconds FROM sync.pace WHERE account = :account

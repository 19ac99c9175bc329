INSERT INTO sync.due (account, stream, schedule, next_run_at) VALUES (:account, :stream, :schedule, :next_run_at)
ON CONFLICT (account, stream) DO UPDATE SET schedule = excluded.schedule, next_run_at = excluded.next_run_at

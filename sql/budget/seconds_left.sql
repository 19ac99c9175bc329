SELECT extract(epoch FROM resume_at - clock_timestamp())::float8 AS seconds FROM sync.pace WHERE account = :account

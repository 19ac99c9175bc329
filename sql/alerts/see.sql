INSERT INTO sync.alerts (account, cause, first_seen_at, last_seen_at, kind, title, message)
VALUES (:account, :cause, :now, :now, :kind, :title, :message)
ON CONFLICT (account, cause) WHERE resolved_at IS NULL DO UPDATE SET last_seen_at = excluded.last_seen_at

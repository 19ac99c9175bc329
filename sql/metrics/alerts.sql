SELECT account, kind, count(*) AS open FROM sync.alerts WHERE resolved_at IS NULL GROUP BY account, kind

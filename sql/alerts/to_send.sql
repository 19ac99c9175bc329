-- What is still to be told: that a cause stands, or that a cause that was told of is over.
SELECT account, cause, first_seen_at, kind, title, message, resolved_at, sent_to, over_sent_to
FROM sync.alerts
WHERE account = :account
  AND ((resolved_at IS NULL AND sent_at IS NULL)
       OR (resolved_at IS NOT NULL AND over_sent_at IS NULL AND cardinality(sent_to) > 0))
ORDER BY first_seen_at, cause

-- name: lock
SELECT pg_try_advisory_lock(hashtextextended('alerts ' || CAST(:account AS text), 0)) AS mine

-- name: unlock
SELECT pg_advisory_unlock(hashtextextended('alerts ' || CAST(:account AS text), 0))

-- name: see
-- A cause that stands longer can be about more: days beside the first, a later run. What is told next is how it stands now.
-- A later last day is news: it goes to each channel again.
INSERT INTO sync.alerts AS known (account, cause, first_seen_at, last_seen_at, kind, title, message, last_day)
VALUES (:account, :cause, :now, :now, :kind, :title, :message, :last_day)
ON CONFLICT (account, cause) WHERE resolved_at IS NULL DO UPDATE
    SET last_seen_at = excluded.last_seen_at, title = excluded.title, message = excluded.message,
        last_day = greatest(known.last_day, excluded.last_day),
        newest_sent_to = CASE WHEN excluded.last_day > known.last_day THEN '{}' ELSE known.newest_sent_to END,
        sent_at = CASE WHEN excluded.last_day > known.last_day THEN NULL ELSE known.sent_at END

-- name: resolve
UPDATE sync.alerts SET resolved_at = :now
WHERE account = :account AND resolved_at IS NULL AND kind = ANY(CAST(:kinds AS text[]))
  AND cause <> ALL(CAST(:causes AS text[]))

-- name: to_send
-- What is still to be told: that a cause stands, or that a cause that was told of is over.
SELECT cause, first_seen_at, title, message, last_day, resolved_at, sent_to, newest_sent_to, over_sent_to
FROM sync.alerts
WHERE account = :account
  AND ((resolved_at IS NULL AND sent_at IS NULL)
       OR (resolved_at IS NOT NULL AND over_sent_at IS NULL AND cardinality(sent_to) > 0))
ORDER BY first_seen_at, cause

-- name: sent_over
UPDATE sync.alerts
SET over_sent_to = array_append(array_remove(over_sent_to, CAST(:channel AS text)), CAST(:channel AS text)),
    over_sent_at = CASE WHEN CAST(:channels AS text[]) <@ array_append(over_sent_to, CAST(:channel AS text))
                   THEN CAST(:now AS timestamptz) ELSE over_sent_at END
WHERE account = :account AND cause = :cause AND first_seen_at = :first_seen_at

-- name: sent
-- Not if a further day was recorded meanwhile: of that one the message said nothing.
UPDATE sync.alerts
SET sent_to = array_append(array_remove(sent_to, CAST(:channel AS text)), CAST(:channel AS text)),
    newest_sent_to = array_append(newest_sent_to, CAST(:channel AS text)),
    sent_at = CASE WHEN CAST(:channels AS text[]) <@ array_append(newest_sent_to, CAST(:channel AS text))
              THEN CAST(:now AS timestamptz) ELSE sent_at END
WHERE account = :account AND cause = :cause AND first_seen_at = :first_seen_at
  AND last_day IS NOT DISTINCT FROM CAST(:last_day AS date)

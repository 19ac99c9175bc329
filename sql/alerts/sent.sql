UPDATE sync.alerts
SET sent_to = array_append(array_remove(sent_to, CAST(:channel AS text)), CAST(:channel AS text)),
    sent_at = CASE WHEN CAST(:channels AS text[]) <@ array_append(sent_to, CAST(:channel AS text))
              THEN CAST(:now AS timestamptz) ELSE sent_at END
WHERE account = :account AND cause = :cause AND first_seen_at = :first_seen_at

UPDATE sync.alerts
SET over_sent_to = array_append(array_remove(over_sent_to, CAST(:channel AS text)), CAST(:channel AS text)),
    over_sent_at = CASE WHEN CAST(:channels AS text[]) <@ array_append(over_sent_to, CAST(:channel AS text))
                   THEN CAST(:now AS timestamptz) ELSE over_sent_at END
WHERE account = :account AND cause = :cause AND first_seen_at = :first_seen_at

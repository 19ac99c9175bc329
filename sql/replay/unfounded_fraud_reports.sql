-- The other direction: stored states that name this window as their origin, though its signed pages do not hold them;
-- and states of what the window met whose times do not follow one another.
SELECT t.key, t.observed_at, 'stored, but not in the signed pages of its window' AS reason
FROM (
    SELECT report_key AS key, observed_at FROM core.fraud_reports WHERE account = :account AND window_id = :window_id
    UNION ALL
    SELECT report_key, observed_at FROM core.fraud_report_versions WHERE account = :account AND window_id = :window_id
) AS t
WHERE NOT EXISTS (
    SELECT FROM staging_fraud_reports s WHERE s.report_key = t.key AND s.observed_at = t.observed_at
)
UNION ALL
SELECT c.key, c.observed_at, 'stored with times that do not follow one another' AS reason
FROM (
    SELECT key, observed_at, first_seen_at, known_to,
           lead(observed_at) OVER (PARTITION BY key ORDER BY observed_at) AS next,
           min(observed_at) OVER (PARTITION BY key) AS first
    FROM (
        SELECT o.report_key AS key, o.observed_at, o.first_seen_at, NULL::timestamptz AS known_to
        FROM staging_fraud_reports s JOIN core.fraud_reports o USING (account, report_key)
        UNION ALL
        SELECT v.report_key, v.observed_at, v.first_seen_at, v.known_to
        FROM staging_fraud_reports s JOIN core.fraud_report_versions v USING (account, report_key)
    ) AS states
) AS c
WHERE c.known_to IS DISTINCT FROM c.next OR c.first_seen_at <> c.first
ORDER BY 1, 2

-- The other direction: stored states that name this window as their origin, though its signed pages do not hold them;
-- and states of what the window met whose times do not follow one another.
SELECT t.key, t.observed_at, 'stored, but not in the signed pages of its window' AS reason
FROM (
    SELECT document_key AS key, stream, observed_at FROM core.documents
    WHERE account = :account AND window_id = :window_id
    UNION ALL
    SELECT document_key, stream, observed_at FROM core.document_versions
    WHERE account = :account AND window_id = :window_id
) AS t
WHERE NOT EXISTS (
    SELECT FROM staging_documents s
    WHERE s.stream = t.stream AND s.document_key = t.key AND s.observed_at = t.observed_at
)
UNION ALL
SELECT c.key, c.observed_at, 'stored with times that do not follow one another' AS reason
FROM (
    SELECT key, observed_at, first_seen_at, known_to,
           lead(observed_at) OVER (PARTITION BY key ORDER BY observed_at) AS next,
           min(observed_at) OVER (PARTITION BY key) AS first
    FROM (
        SELECT o.document_key AS key, o.observed_at, o.first_seen_at, NULL::timestamptz AS known_to
        FROM staging_documents s JOIN core.documents o USING (account, stream, document_key)
        UNION ALL
        SELECT v.document_key, v.observed_at, v.first_seen_at, v.known_to
        FROM staging_documents s JOIN core.document_versions v USING (account, stream, document_key)
    ) AS states
) AS c
WHERE c.known_to IS DISTINCT FROM c.next OR c.first_seen_at <> c.first
ORDER BY 1, 2

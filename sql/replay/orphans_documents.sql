-- Stored states that name no complete window of this stream as their origin.
SELECT t.key, t.observed_at, 'stored, but from no window of the ledger' AS reason
FROM (
    SELECT document_key AS key, observed_at, window_id FROM core.documents
    WHERE account = :account AND stream = :stream
    UNION ALL
    SELECT document_key, observed_at, window_id FROM core.document_versions
    WHERE account = :account AND stream = :stream
) AS t
LEFT JOIN sync.windows w ON w.window_id = t.window_id AND w.account = :account AND w.stream = :stream
    AND w.verdict = 'complete'
WHERE w.window_id IS NULL
ORDER BY 1, 2

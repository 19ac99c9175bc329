-- Stored states that name no complete window of this stream as their origin.
SELECT t.key, t.observed_at, 'stored, but from no window of the ledger' AS reason
FROM (
    SELECT operation_id AS key, observed_at, window_id FROM core.operations WHERE account = :account
    UNION ALL
    SELECT operation_id, observed_at, window_id FROM core.operation_versions WHERE account = :account
) AS t
LEFT JOIN sync.windows w ON w.window_id = t.window_id AND w.account = :account AND w.stream = :stream
    AND w.verdict = 'complete'
WHERE w.window_id IS NULL
ORDER BY 1, 2

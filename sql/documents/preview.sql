-- Some documents of a run, without what they say or are called: a document may hold personal data anywhere.
SELECT left(document_sha256, 12) AS digest, observed_at, first_seen_at, pg_column_size(document) AS bytes
FROM core.documents
WHERE window_id IN (SELECT window_id FROM sync.windows WHERE run_id = :run_id)
ORDER BY document_key
LIMIT 5

-- Staged documents that the store does not hold as they were observed, at the time they were observed.
SELECT s.document_key AS key, s.observed_at,
       CASE WHEN o.document_key IS NULL THEN 'missing in the store' ELSE 'stored otherwise' END AS reason
FROM staging_documents s
LEFT JOIN LATERAL (
    SELECT c.*, 'infinity'::timestamptz AS known_to FROM core.documents c
    WHERE c.account = s.account AND c.stream = s.stream AND c.document_key = s.document_key
      AND c.observed_at <= s.observed_at
    UNION ALL
    SELECT v.* FROM core.document_versions v
    WHERE v.account = s.account AND v.stream = s.stream AND v.document_key = s.document_key
      AND v.observed_at <= s.observed_at AND v.known_to > s.observed_at
) AS o ON true
WHERE o.document_key IS NULL
   OR (o.endpoint, o.document, o.document_sha256) IS DISTINCT FROM (s.endpoint, s.document, s.document_sha256)
ORDER BY s.document_key

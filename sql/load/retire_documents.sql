-- A stored document that differs from a later observation leaves for core.document_versions; the last observation
-- wins, so one that is not later than the stored row changes nothing. Rows affected: the changed documents.
WITH outdated AS (
    DELETE FROM core.documents o
    USING staging_documents s
    WHERE o.account = s.account AND o.stream = s.stream AND o.document_key = s.document_key
      AND o.observed_at < s.observed_at
      AND (o.endpoint, o.document, o.document_sha256) IS DISTINCT FROM (s.endpoint, s.document, s.document_sha256)
    RETURNING o.*, s.observed_at AS known_to
), versioned AS (
    INSERT INTO core.document_versions SELECT * FROM outdated
    RETURNING account, stream, document_key, first_seen_at
)
UPDATE staging_documents s SET first_seen_at = v.first_seen_at
FROM versioned v
WHERE v.account = s.account AND v.stream = s.stream AND v.document_key = s.document_key

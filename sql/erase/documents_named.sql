-- Documents in which one of some texts stands anywhere, in whatever case: what they really say is looked at after this.
SELECT 'documents' AS source, account, stream, document_key, observed_at, document::text AS text FROM core.documents d
WHERE account = :account
  AND EXISTS (SELECT FROM unnest(CAST(:needles AS text[])) AS n (needle)
              WHERE strpos(lower(d.document::text), lower(n.needle)) > 0
                 OR strpos(lower(d.document_key), lower(n.needle)) > 0)
UNION ALL
SELECT 'document_versions', account, stream, document_key, observed_at, document::text FROM core.document_versions d
WHERE account = :account
  AND EXISTS (SELECT FROM unnest(CAST(:needles AS text[])) AS n (needle)
              WHERE strpos(lower(d.document::text), lower(n.needle)) > 0
                 OR strpos(lower(d.document_key), lower(n.needle)) > 0)

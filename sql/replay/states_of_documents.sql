-- Every stored state of some documents, as text to compare before and after, and the window it came from.
SELECT o.document_key AS key, o.window_id, md5(o::text) AS state
FROM core.documents o WHERE o.account = :account AND o.stream = :stream AND o.document_key = ANY(:keys)
UNION ALL
SELECT v.document_key, v.window_id, md5(v::text)
FROM core.document_versions v WHERE v.account = :account AND v.stream = :stream AND v.document_key = ANY(:keys)

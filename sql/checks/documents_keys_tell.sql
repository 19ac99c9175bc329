-- Documents that two windows of one run brought in different states: either they changed and moved meanwhile, or the
-- key is that of several documents, which then replace each other every night.
SELECT d.stream, count(DISTINCT d.document_key) AS rows
FROM core.documents d
JOIN core.document_versions v USING (account, stream, document_key)
JOIN sync.windows w ON w.window_id = d.window_id
JOIN sync.windows former ON former.window_id = v.window_id
WHERE w.run_id = ANY(:run_ids) AND former.run_id = w.run_id AND former.window_id <> w.window_id
GROUP BY d.stream

-- name: shapes
SELECT stream, endpoint, rows_path, key_paths FROM sync.document_streams WHERE account = :account ORDER BY stream

-- name: note_shape
-- As long as nothing was loaded, the way the stream is read may still be found out.
INSERT INTO sync.document_streams AS s (account, stream, endpoint, rows_path, key_paths)
VALUES (:account, :stream, :endpoint, :rows_path, :key_paths)
ON CONFLICT (account, stream) DO UPDATE SET
    endpoint = excluded.endpoint, rows_path = excluded.rows_path, key_paths = excluded.key_paths
WHERE NOT EXISTS (
    SELECT FROM sync.windows w WHERE w.account = s.account AND w.stream = s.stream AND w.verdict = 'complete'
)

-- name: shape
-- How the documents of a stream have been found and told apart since its first load.
SELECT endpoint, rows_path, key_paths FROM sync.document_streams WHERE account = :account AND stream = :stream

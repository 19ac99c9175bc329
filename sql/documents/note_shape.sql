INSERT INTO sync.document_streams (account, stream, endpoint, rows_path, key_paths)
VALUES (:account, :stream, :endpoint, :rows_path, :key_paths)
ON CONFLICT (account, stream) DO NOTHING

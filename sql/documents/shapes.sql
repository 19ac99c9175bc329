SELECT stream, endpoint, rows_path, key_paths FROM sync.document_streams WHERE account = :account ORDER BY stream

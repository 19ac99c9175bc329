-- How the documents of a stream have been found and told apart since its first load.
SELECT endpoint, rows_path, key_paths FROM sync.document_streams WHERE account = :account AND stream = :stream

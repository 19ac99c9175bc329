UPDATE raw.pages SET body_zstd = :body_zstd, body_bytes = :body_bytes, erased_at = now()
WHERE account = :account AND page_id = :page_id

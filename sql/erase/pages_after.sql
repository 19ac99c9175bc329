SELECT page_id, endpoint, body_bytes, body_zstd FROM raw.pages
WHERE account = :account AND page_id > :page_id AND body_zstd IS NOT NULL ORDER BY page_id LIMIT 50

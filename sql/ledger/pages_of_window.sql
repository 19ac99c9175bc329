SELECT page_id, endpoint, request, requested_at, received_at, row_count, body_bytes, body_sha256, signature, body_zstd,
       erased_at, request_id
FROM raw.pages
WHERE window_id = :window_id
ORDER BY requested_at, page_id

INSERT INTO raw.pages (account, window_id, run_id, endpoint, request, requested_at, received_at,
                       row_count, body_bytes, body_sha256, signature, body_zstd, request_id)
VALUES (:account, :window_id, :run_id, :endpoint, CAST(:request AS jsonb), :requested_at, :received_at,
        :row_count, :body_bytes, :body_sha256, :signature, :body_zstd, :request_id)

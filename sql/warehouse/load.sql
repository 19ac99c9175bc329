-- name: lock_account
-- One commit at a time for an account, so that each sees what the one before it stored; the same key as the
-- ledger's trigger takes.
SELECT pg_advisory_xact_lock(hashtextextended('sync.windows ' || :account, 0))

-- name: plan_by_key
-- A fresh temporary table has no statistics, and a plan that reads the whole of core.operations for one window
-- gets slower every night: look up by key instead, whatever the guess. For this transaction only.
SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)

-- name: add_reject
INSERT INTO core.rejects (account, stream, row_sha256, reason, raw_json, run_id, window_id, first_seen_at, last_seen_at)
VALUES (:account, :stream, :row_sha256, :reason, :raw_json, :run_id, :window_id, :observed_at, :observed_at)
ON CONFLICT (account, stream, row_sha256) DO UPDATE SET
    reason = excluded.reason,
    run_id = excluded.run_id,
    window_id = excluded.window_id,
    last_seen_at = greatest(core.rejects.last_seen_at, excluded.last_seen_at)

-- name: add_page
INSERT INTO raw.pages (account, window_id, run_id, endpoint, request, requested_at, received_at,
                       row_count, body_bytes, body_sha256, signature, body_zstd, request_id)
VALUES (:account, :window_id, :run_id, :endpoint, CAST(:request AS jsonb), :requested_at, :received_at,
        :row_count, :body_bytes, :body_sha256, :signature, :body_zstd, :request_id)

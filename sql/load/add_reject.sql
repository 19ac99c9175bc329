INSERT INTO core.rejects (account, stream, row_sha256, reason, raw_json, run_id, window_id, first_seen_at, last_seen_at)
VALUES (:account, :stream, :row_sha256, :reason, :raw_json, :run_id, :window_id, :observed_at, :observed_at)
ON CONFLICT (account, stream, row_sha256) DO UPDATE SET
    reason = excluded.reason,
    run_id = excluded.run_id,
    window_id = excluded.window_id,
    last_seen_at = greatest(core.rejects.last_seen_at, excluded.last_seen_at)

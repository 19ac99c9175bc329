-- totals_written is read back from the store, in the transaction that wrote it;
-- all_written: whether what this walk wrote is all that it met.
-- entry_no, previous_hash and entry_hash are set by the trigger sync.chain_entry.
INSERT INTO sync.windows (
    window_id, account, entry_no, run_id, stream, project_ids, interval_from, interval_to, verdict, reason,
    walk_started_at, walk_ended_at, walks, drifts, pages, requests, rows_met, rows_new, rows_changed,
    rows_unchanged, rows_rejected, totals_met, totals_written, rows_digest, pages_digest, previous_hash, entry_hash)
VALUES (
    :window_id, :account, 0, :run_id, :stream, :project_ids, :interval_from, :interval_to, :verdict, :reason,
    :walk_started_at, :walk_ended_at, :walks, :drifts, :pages, :requests, :rows_met, :rows_new, :rows_changed,
    :rows_unchanged, :rows_rejected, CAST(:totals_met AS jsonb), sync.written_totals(:window_id), :rows_digest,
    :pages_digest, ''::bytea, ''::bytea)
RETURNING totals_written = totals_met AS all_written

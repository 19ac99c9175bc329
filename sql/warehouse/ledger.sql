-- name: end_killed_runs
UPDATE sync.runs AS r SET finished_at = clock_timestamp(), state = 'failed', error_kind = 'interrupted',
    message = 'its process was killed, or lost the database; what it had committed stays'
WHERE r.account = :account AND r.state = 'running' AND sync.was_killed(r)

-- name: states_of_operation
SELECT account, operation_id, observed_at, NULL::timestamptz AS known_to, window_id, operation_status,
       sum_initial_amount, sum_initial_currency
FROM core.operations WHERE account = :account AND operation_id = :operation_id
UNION ALL
SELECT account, operation_id, observed_at, known_to, window_id, operation_status,
       sum_initial_amount, sum_initial_currency
FROM core.operation_versions WHERE account = :account AND operation_id = :operation_id
ORDER BY observed_at

-- name: entry_with_hash
SELECT account, entry_no FROM sync.windows WHERE encode(entry_hash, 'hex') = :hash

-- name: start_run
INSERT INTO sync.runs (account, stream, interval_from, interval_to, project_ids, dagster_run_id, product_version)
VALUES (:account, :stream, :interval_from, :interval_to, :project_ids, :dagster_run_id, :product_version)
RETURNING run_id

-- name: note_resumed
UPDATE sync.runs SET resumed_windows = CAST(:ids AS bigint[]) WHERE run_id = :run_id

-- name: chain_tips
SELECT DISTINCT ON (account) account, entry_no, encode(entry_hash, 'hex') AS head, committed_at
FROM sync.windows
ORDER BY account, entry_no DESC

-- name: was_complete
-- One row if this stream was ever loaded for the account.
SELECT 1 FROM sync.runs WHERE account = :account AND stream = :stream AND state = 'complete' LIMIT 1

-- name: windows_already_done
-- Windows that interrupted runs over exactly these days committed since the last run that completed them.
-- Walked again all the same, because operations change: what was walked more than a day ago, and the days that
-- every night walks again (the look-back).
SELECT w.interval_from, w.interval_to, w.window_id
FROM sync.windows w
JOIN sync.runs r USING (run_id)
WHERE r.account = :account AND r.stream = :stream AND r.project_ids = CAST(:project_ids AS bigint[])
  AND r.interval_from = :interval_from AND r.interval_to = :interval_to
  AND w.verdict = 'complete'
  AND w.walk_started_at > CAST(:now AS timestamptz) - interval '24 hours'
  AND w.interval_to < CAST(:now AS timestamptz) - make_interval(days => :look_back_days)
  AND r.run_id > coalesce((
        SELECT max(c.run_id) FROM sync.runs c
        WHERE c.account = :account AND c.stream = :stream AND c.state = 'complete'
          AND c.project_ids = CAST(:project_ids AS bigint[])
          AND c.interval_from = :interval_from AND c.interval_to = :interval_to
      ), 0)
ORDER BY w.interval_from

-- name: end_run
UPDATE sync.runs SET finished_at = clock_timestamp(), state = :state, error_kind = :error_kind, message = :message,
    requests = :requests
WHERE run_id = :run_id

-- name: add_requests
INSERT INTO sync.requests (account, run_id, endpoint, status, requests, retries)
SELECT account, run_id, :endpoint, :status, :requests, :retries FROM sync.runs WHERE run_id = :run_id
ON CONFLICT (account, run_id, endpoint, status) DO UPDATE
SET requests = sync.requests.requests + excluded.requests, retries = sync.requests.retries + excluded.retries

-- name: next_window_id
SELECT nextval('sync.window_ids')

-- name: committed
-- Which of these windows are committed.
SELECT window_id FROM sync.windows WHERE window_id = ANY(CAST(:ids AS bigint[]))

-- name: written_totals
SELECT sync.written_totals(:window_id) AS totals

-- name: add_window
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

-- name: verify
-- The first entry of each account's chain, or of one account's, that is not what was written, and why.
SELECT DISTINCT ON (account) account, entry_no, window_id, interval_from, interval_to,
       CASE WHEN entry_no <> expected_no THEN 'entries before it were removed or reordered'
            WHEN previous_hash <> expected_hash THEN 'it does not follow the entry before it'
            ELSE 'it was altered' END AS reason
FROM (
    SELECT w.*, sync.entry_hash(w) AS true_hash,
           coalesce(lag(entry_no) OVER chain, 0) + 1 AS expected_no,
           coalesce(lag(entry_hash) OVER chain, decode(repeat('00', 32), 'hex')) AS expected_hash
    FROM sync.windows w
    WHERE CAST(:account AS text) IS NULL OR w.account = :account
    WINDOW chain AS (PARTITION BY account ORDER BY entry_no)
) AS chained
WHERE entry_no <> expected_no OR previous_hash <> expected_hash OR entry_hash <> true_hash
ORDER BY account, entry_no

-- name: windows_between
-- Complete walks of a stream that touch the days, in the order in which they were committed; only_boundary: they end
-- where the days begin, or begin where they end.
SELECT window_id, account, run_id, stream, interval_from, interval_to, walk_started_at, rows_met, rows_rejected,
       rows_digest, pages_digest, totals_met, entry_no,
       interval_from < interval_to AND (interval_from = :last OR interval_to = :first) AS only_boundary
FROM sync.windows
WHERE account = :account AND stream = :stream AND verdict = 'complete'
  AND interval_from <= :last AND interval_to >= :first
ORDER BY entry_no

-- name: resumed_windows
-- Which of these runs did not walk which windows again.
SELECT run_id, unnest(resumed_windows) AS window_id FROM sync.runs WHERE run_id = ANY(CAST(:run_ids AS bigint[]))

-- name: pages_of_window
SELECT page_id, endpoint, request, requested_at, received_at, row_count, body_bytes, body_sha256, signature, body_zstd,
       erased_at, request_id
FROM raw.pages
WHERE window_id = :window_id
ORDER BY requested_at, page_id

-- name: delete_batch
-- Deletes a batch of pages received before that moment; rows affected: how many.
DELETE FROM raw.pages
WHERE (account, page_id) IN (
    SELECT account, page_id FROM raw.pages
    WHERE account = :account AND received_at < :received_before
    ORDER BY received_at
    LIMIT :batch
)

-- name: add_deletion
-- deletion_no, previous_hash and entry_hash are set by the trigger raw.chain_deletion.
INSERT INTO raw.deletions (account, received_before, raw_days, pages, deletion_no, previous_hash, entry_hash)
VALUES (:account, :received_before, :raw_days, :pages, 0, ''::bytea, ''::bytea)

-- name: verify_deletions
-- The first row of each account's chain of deletions that is not what was written, and why.
SELECT DISTINCT ON (account) account, deletion_no, deleted_at,
       CASE WHEN deletion_no <> expected_no THEN 'rows before it were removed or reordered'
            WHEN previous_hash <> expected_hash THEN 'it does not follow the row before it'
            ELSE 'it was altered' END AS reason
FROM (
    SELECT d.*, raw.deletion_hash(d) AS true_hash,
           coalesce(lag(deletion_no) OVER chain, 0) + 1 AS expected_no,
           coalesce(lag(entry_hash) OVER chain, decode(repeat('00', 32), 'hex')) AS expected_hash
    FROM raw.deletions d
    WINDOW chain AS (PARTITION BY account ORDER BY deletion_no)
) AS chained
WHERE deletion_no <> expected_no OR previous_hash <> expected_hash OR entry_hash <> true_hash
ORDER BY account, deletion_no

-- name: deleted_before
-- Up to when pages were deleted because of their age, and by which setting; no row: none ever was.
SELECT received_before, raw_days FROM raw.deletions
WHERE account = :account ORDER BY received_before DESC LIMIT 1

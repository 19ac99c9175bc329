-- name: table
CREATE TEMPORARY TABLE staging_entries (
    entry_id        text COLLATE "C" NOT NULL,
    booked_at       timestamptz NOT NULL,
    is_date_only    boolean NOT NULL,
    operation_type  text NOT NULL,
    status          text NOT NULL,
    currency        text NOT NULL,
    amount_minor    bigint NOT NULL,
    fee_minor       bigint,
    operation_id    text,
    project_id      text,
    payment_id      text,
    reference       text
) ON COMMIT DROP

-- name: analyze
ANALYZE staging_entries

-- name: next_id
SELECT nextval(pg_get_serial_sequence('recon.ledger_imports', 'import_id')) AS import_id

-- name: withdraw
-- Entries of the file's business days that it does not have: they no longer stand, and leave their former state.
WITH gone AS (
    SELECT e.entry_id FROM recon.ledger_entries e
    WHERE e.account = :account AND NOT recon.is_withdrawn(e.status)
      AND core.business_date(e.booked_at) IN (SELECT core.business_date(booked_at) FROM staging_entries)
      AND NOT EXISTS (SELECT FROM staging_entries s WHERE s.entry_id = e.entry_id)
), versioned AS (
    INSERT INTO recon.ledger_entry_versions (account, entry_id, known_to, was)
    SELECT e.account, e.entry_id, clock_timestamp(), to_jsonb(e)
    FROM recon.ledger_entries e JOIN gone USING (entry_id)
    WHERE e.account = :account
)
UPDATE recon.ledger_entries e SET status = 'withdrawn', import_id = :import_id, entered_at = clock_timestamp()
FROM gone WHERE e.account = :account AND e.entry_id = gone.entry_id

-- name: drop_unchanged
-- An entry that is known in this state is not touched: not even locked, which would cost as much as writing it.
DELETE FROM staging_entries s USING recon.ledger_entries e
WHERE e.account = :account AND e.entry_id = s.entry_id
  AND (e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference)
    IS NOT DISTINCT FROM (s.booked_at, s.is_date_only, s.operation_type, s.status, s.currency, s.amount_minor,
       s.fee_minor, s.operation_id, s.project_id, s.payment_id, s.reference)

-- name: versions
-- A corrected entry leaves its former state.
INSERT INTO recon.ledger_entry_versions (account, entry_id, known_to, was)
SELECT e.account, e.entry_id, clock_timestamp(), to_jsonb(e)
FROM staging_entries s
JOIN recon.ledger_entries e ON e.account = :account AND e.entry_id = s.entry_id

-- name: save
INSERT INTO recon.ledger_entries (
    account, entry_id, booked_at, is_date_only, operation_type, status, currency, amount_minor, fee_minor,
    operation_id, project_id, payment_id, reference, import_id
)
SELECT :account, s.*, :import_id FROM staging_entries s
ON CONFLICT (account, entry_id) DO UPDATE SET
    booked_at = excluded.booked_at, is_date_only = excluded.is_date_only, operation_type = excluded.operation_type,
    status = excluded.status, currency = excluded.currency, amount_minor = excluded.amount_minor,
    fee_minor = excluded.fee_minor, operation_id = excluded.operation_id, project_id = excluded.project_id,
    payment_id = excluded.payment_id, reference = excluded.reference, import_id = excluded.import_id,
    entered_at = clock_timestamp()

-- name: record
INSERT INTO recon.ledger_imports (
    account, import_id, file_name, file_sha256, rows_read, rows_new, rows_changed, rows_unchanged,
    rows_rejected, rows_withdrawn
)
OVERRIDING SYSTEM VALUE
VALUES (
    :account, :import_id, :file_name, :file_sha256, :rows_read, :rows_new, :rows_changed, :rows_unchanged,
    :rows_rejected, :rows_withdrawn
)

-- name: reject
INSERT INTO recon.ledger_rejects (account, import_id, line_number, column_name, problem, advice)
VALUES (:account, :import_id, :line, :column, :problem, :advice)
ON CONFLICT DO NOTHING

-- name: copy
COPY staging_entries FROM STDIN

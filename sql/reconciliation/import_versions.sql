-- A corrected entry leaves its former state.
INSERT INTO recon.ledger_entry_versions (account, entry_id, known_to, was)
SELECT e.account, e.entry_id, clock_timestamp(), to_jsonb(e)
FROM staging_entries s
JOIN recon.ledger_entries e ON e.account = :account AND e.entry_id = s.entry_id
WHERE (e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference)
    IS DISTINCT FROM (s.booked_at, s.is_date_only, s.operation_type, s.status, s.currency, s.amount_minor, s.fee_minor,
       s.operation_id, s.project_id, s.payment_id, s.reference)

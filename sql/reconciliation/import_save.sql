INSERT INTO recon.ledger_entries AS e (
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
WHERE (e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference)
    IS DISTINCT FROM (excluded.booked_at, excluded.is_date_only, excluded.operation_type, excluded.status,
       excluded.currency, excluded.amount_minor, excluded.fee_minor, excluded.operation_id, excluded.project_id,
       excluded.payment_id, excluded.reference)

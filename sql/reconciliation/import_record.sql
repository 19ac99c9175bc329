INSERT INTO recon.ledger_imports (
    account, import_id, file_name, file_sha256, rows_read, rows_new, rows_changed, rows_unchanged, rows_rejected
)
OVERRIDING SYSTEM VALUE
VALUES (
    :account, :import_id, :file_name, :file_sha256, :rows_read, :rows_new, :rows_changed, :rows_unchanged, :rows_rejected
)

INSERT INTO recon.closes (
    account, business_date, action, known_at, prepared_by, decided_by, with_open_breaks, document, document_sha256
)
VALUES (:account, :day, 'close', :known_at, :prepared_by, :by, :with_open_breaks, :document, :document_sha256)
RETURNING close_no, encode(document_sha256, 'hex') AS sha256, encode(entry_hash, 'hex') AS entry_hash

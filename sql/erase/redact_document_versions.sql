UPDATE core.document_versions SET
    document = CAST(:document AS jsonb), document_sha256 = :document_sha256, document_key = :new_key
WHERE account = :account AND stream = :stream AND document_key = :document_key AND observed_at = :observed_at

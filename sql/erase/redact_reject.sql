UPDATE core.rejects SET raw_json = :raw_json
WHERE account = :account AND stream = :stream AND row_sha256 = :row_sha256

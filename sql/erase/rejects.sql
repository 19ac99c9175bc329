SELECT stream, row_sha256, raw_json FROM core.rejects WHERE account = :account

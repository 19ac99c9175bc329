SELECT account, entry_no FROM sync.windows WHERE encode(entry_hash, 'hex') = :hash

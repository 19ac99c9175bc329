SELECT value FROM core.settings WHERE key = :key

SELECT version, sha256 FROM sync.migrations

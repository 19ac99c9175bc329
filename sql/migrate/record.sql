INSERT INTO sync.migrations (version, name, sha256) VALUES (:version, :name, :sha256)

DELETE FROM core.currencies

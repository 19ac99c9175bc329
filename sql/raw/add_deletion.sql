INSERT INTO raw.deletions (account, received_before, raw_days, pages)
VALUES (:account, :received_before, :raw_days, :pages)

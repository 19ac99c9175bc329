INSERT INTO recon.closes (account, business_date, action, known_at, decided_by, reason)
VALUES (:account, :day, 'reopen', clock_timestamp(), :by, :reason)
RETURNING close_no

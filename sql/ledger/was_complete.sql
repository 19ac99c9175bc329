-- One row if this stream was ever loaded for the account.
SELECT 1 FROM sync.runs WHERE account = :account AND stream = :stream AND state = 'complete' LIMIT 1

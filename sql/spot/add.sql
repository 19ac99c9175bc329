INSERT INTO sync.spot_checks (account, run_id, payment_id, operation_id, field, outcome, stored, answered, asked_at)
VALUES (:account, :run_id, :payment_id, :operation_id, :field, :outcome, :stored, :answered, :asked_at)

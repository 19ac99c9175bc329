-- name: add
INSERT INTO core.balance_snapshots (account, captured_at, position, balance_name, currency, amount_minor, run_id)
VALUES (:account, :captured_at, :position, :name, :currency, :amount_minor, :run_id)

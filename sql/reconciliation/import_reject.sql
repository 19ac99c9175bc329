INSERT INTO recon.ledger_rejects (account, import_id, line_number, column_name, problem, advice)
VALUES (:account, :import_id, :line, :column, :problem, :advice)
ON CONFLICT DO NOTHING

SELECT nextval(pg_get_serial_sequence('recon.ledger_imports', 'import_id')) AS import_id

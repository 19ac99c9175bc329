-- Inserts what is new or was retired; an unchanged row is not touched at all (no lock, no WAL).
-- Rows affected: the new and the changed reports.
INSERT INTO core.fraud_reports SELECT * FROM staging_fraud_reports
ON CONFLICT (account, report_key) DO NOTHING

-- Inserts what is new or was retired; an unchanged row is not touched at all (no lock, no WAL).
-- Rows affected: the new and the changed operations.
INSERT INTO core.operations SELECT * FROM staging_operations
ON CONFLICT (account, operation_id) DO NOTHING

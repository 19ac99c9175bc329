-- Inserts what is new or was retired; an unchanged row is not touched at all (no lock, no WAL).
-- Rows affected: the new and the changed documents.
INSERT INTO core.documents SELECT * FROM staging_documents
ON CONFLICT (account, stream, document_key) DO NOTHING

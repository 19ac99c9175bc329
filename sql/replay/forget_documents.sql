-- Takes all states of some documents out of the store, to build them again in the same transaction.
WITH current AS (
    DELETE FROM core.documents WHERE account = :account AND stream = :stream AND document_key = ANY(:keys)
)
DELETE FROM core.document_versions WHERE account = :account AND stream = :stream AND document_key = ANY(:keys)

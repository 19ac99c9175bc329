-- Takes all states of some rows out of the store, to build them again in the same transaction.
WITH current AS (DELETE FROM core.operations WHERE account = :account AND operation_id = ANY(:keys))
DELETE FROM core.operation_versions WHERE account = :account AND operation_id = ANY(:keys)

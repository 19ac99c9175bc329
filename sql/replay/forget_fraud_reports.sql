-- Takes all states of some rows out of the store, to build them again in the same transaction.
WITH current AS (DELETE FROM core.fraud_reports WHERE account = :account AND report_key = ANY(:keys))
DELETE FROM core.fraud_report_versions WHERE account = :account AND report_key = ANY(:keys)

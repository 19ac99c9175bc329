-- A private copy of the table's columns for the rows of one window; gone at commit.
CREATE TEMPORARY TABLE staging_fraud_reports (LIKE core.fraud_reports) ON COMMIT DROP

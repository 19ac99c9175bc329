-- A private copy of the table's columns for the rows of one window; gone at commit.
CREATE TEMPORARY TABLE staging_operations (LIKE core.operations) ON COMMIT DROP

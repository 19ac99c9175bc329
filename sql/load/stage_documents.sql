-- A private copy of the table's columns for the rows of one window; gone at commit.
CREATE TEMPORARY TABLE staging_documents (LIKE core.documents) ON COMMIT DROP

-- Control totals of what PostgreSQL received, to hold against those of what was sent.
SELECT NULL AS currency, stream AS type, NULL AS status, count(*) AS row_count, NULL AS minor
FROM staging_documents
GROUP BY stream

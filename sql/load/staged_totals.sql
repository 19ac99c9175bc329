-- Control totals of what PostgreSQL received, to hold against those of what was sent.
SELECT sum_initial_currency AS currency, operation_type AS type, operation_status AS status,
       count(*) AS row_count, sum(sum_initial_amount) AS minor
FROM staging_operations
GROUP BY 1, 2, 3

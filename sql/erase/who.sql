-- Every id and address the person is known by: an address brings its customer ids, a customer id its addresses.
WITH known AS (
    SELECT customer_id, customer_email FROM core.operations
    WHERE account = :account AND (customer_id = :customer OR lower(customer_email) = lower(:customer))
    UNION
    SELECT customer_id, customer_email FROM core.operation_versions
    WHERE account = :account AND (customer_id = :customer OR lower(customer_email) = lower(:customer))
)
SELECT customer_id AS value FROM known WHERE customer_id IS NOT NULL
UNION SELECT customer_email FROM known WHERE customer_email IS NOT NULL
UNION SELECT CAST(:customer AS text)

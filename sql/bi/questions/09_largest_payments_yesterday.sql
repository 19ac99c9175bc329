-- Largest payments begun yesterday
-- The ten largest of each currency by what was sold or captured.
SELECT currency, payment_id, project_id, payment_status, sold + captured AS taken_amount, net
FROM (
    SELECT *, row_number() OVER (PARTITION BY currency ORDER BY sold_minor + captured_minor DESC, payment_id) AS place
    FROM bi.fct_payments
    WHERE first_operation_date = bi.today() - 1
) AS ranked
WHERE place <= 10
ORDER BY currency, place

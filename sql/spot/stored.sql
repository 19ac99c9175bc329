SELECT operation_id, operation_type, operation_created_at, operation_completed_at, sum_initial_amount,
       sum_initial_currency, sum_converted_amount, sum_converted_currency, arn, rrn
FROM core.operations
WHERE account = :account AND payment_id = :payment_id
ORDER BY operation_id

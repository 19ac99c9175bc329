-- What happened to this payment?
-- Every operation of one payment, in order: put its id, and your account.
SELECT business_at, operation_type, operation_status, amount, currency, payment_provider_message
FROM bi.fct_operations
WHERE account = 'default' AND payment_id = (SELECT payment_id FROM bi.fct_payments ORDER BY first_operation_date DESC LIMIT 1)
ORDER BY business_at, operation_id

UPDATE core.fraud_reports SET account_number = NULL, customer_id = NULL, customer_email = NULL, extra = NULL
WHERE account = :account
  AND (customer_id = ANY(:who) OR lower(customer_email) = ANY(:who_lower) OR operation_id = ANY(:operation_ids))

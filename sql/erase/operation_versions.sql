-- Keys, amounts, statuses and times stay, and with them every total.
UPDATE core.operation_versions SET
    account_number = NULL, customer_ip = NULL, payment_description = NULL, card_holder = NULL, card_token = NULL,
    expiration_date = NULL, avs_post_code = NULL, avs_street_address = NULL, customer_id = NULL, customer_email = NULL,
    extra = NULL
WHERE account = :account
  AND (customer_id = ANY(:who) OR lower(customer_email) = ANY(:who_lower) OR operation_id = ANY(:operation_ids))
RETURNING operation_id

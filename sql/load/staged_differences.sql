-- Staged rows that the store does not hold as they were observed, at the time they were observed.
-- No difference: a row observed earlier than a state that another window had committed before; the last
-- observation wins, so the load left it out (windows in flight commit in any order).
SELECT s.operation_id AS key, s.observed_at,
       CASE WHEN o.operation_id IS NULL THEN 'missing in the store' ELSE 'stored otherwise' END AS reason
FROM staging_operations s
LEFT JOIN LATERAL (
    SELECT c.*, 'infinity'::timestamptz AS known_to FROM core.operations c
    WHERE c.account = s.account AND c.operation_id = s.operation_id AND c.observed_at <= s.observed_at
    UNION ALL
    SELECT v.* FROM core.operation_versions v
    WHERE v.account = s.account AND v.operation_id = s.operation_id
      AND v.observed_at <= s.observed_at AND v.known_to > s.observed_at
) AS o ON true
WHERE (o.operation_id IS NULL OR (
        o.project_id, o.payment_id, o.operation_type, o.operation_status, o.account_number, o.customer_ip,
        o.payment_method_name, o.payment_method_type, o.payment_description, o.operation_created_at,
        o.operation_completed_at, o.provider_date, o.shipment_date, o.sum_initial_amount,
        o.sum_initial_currency, o.sum_converted_amount, o.sum_converted_currency, o.arn, o.rrn,
        o.payment_provider_code, o.payment_provider_message, o.bin, o.bank_name, o.card_enroll_check,
        o.card_holder, o.card_product_name, o.card_token, o.expiration_date, o.country_by_bin, o.eci,
        o.secure_3ds_check, o.auth_code, o.avs_post_code, o.avs_street_address, o.avs_result, o.customer_id,
        o.customer_email, o.country_by_ip, o.completed_refund, o.remaining_refund, o.currency_rate,
        o.payment_currency, o.balance_id, o.payment_type, o.transaction_created_at, o.transaction_completed_at,
        o.transaction_status, o.provider_payment_id, o.recurring_id, o.recurring_register,
        o.recurring_valid_thru, o.acquirer_bank_name, o.legal_entity_name, o.merchant_id, o.project_name,
        o.project_url,
        o.extra
      ) IS DISTINCT FROM (
        s.project_id, s.payment_id, s.operation_type, s.operation_status, s.account_number, s.customer_ip,
        s.payment_method_name, s.payment_method_type, s.payment_description, s.operation_created_at,
        s.operation_completed_at, s.provider_date, s.shipment_date, s.sum_initial_amount,
        s.sum_initial_currency, s.sum_converted_amount, s.sum_converted_currency, s.arn, s.rrn,
        s.payment_provider_code, s.payment_provider_message, s.bin, s.bank_name, s.card_enroll_check,
        s.card_holder, s.card_product_name, s.card_token, s.expiration_date, s.country_by_bin, s.eci,
        s.secure_3ds_check, s.auth_code, s.avs_post_code, s.avs_street_address, s.avs_result, s.customer_id,
        s.customer_email, s.country_by_ip, s.completed_refund, s.remaining_refund, s.currency_rate,
        s.payment_currency, s.balance_id, s.payment_type, s.transaction_created_at, s.transaction_completed_at,
        s.transaction_status, s.provider_payment_id, s.recurring_id, s.recurring_register,
        s.recurring_valid_thru, s.acquirer_bank_name, s.legal_entity_name, s.merchant_id, s.project_name,
        s.project_url,
        s.extra
      )
)
  AND NOT EXISTS (
    SELECT FROM sync.windows mine
    JOIN LATERAL (
        SELECT c.window_id FROM core.operations c
        WHERE c.account = s.account AND c.operation_id = s.operation_id AND c.observed_at >= s.observed_at
        UNION ALL
        SELECT v.window_id FROM core.operation_versions v
        WHERE v.account = s.account AND v.operation_id = s.operation_id AND v.observed_at >= s.observed_at
    ) AS held ON true
    JOIN sync.windows theirs ON theirs.window_id = held.window_id
    WHERE mine.window_id = s.window_id AND theirs.account = mine.account AND theirs.entry_no < mine.entry_no
  )
ORDER BY s.operation_id

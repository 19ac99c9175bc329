-- bi.fct_operations: one row an operation, without personal data.
CREATE OR REPLACE VIEW bi.fct_operations AS
SELECT o.account, o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       coalesce(s.is_final, false) AS is_final, coalesce(s.is_success, false) AS is_success,
       o.sum_initial_currency AS currency,
       o.sum_initial_amount AS amount_minor,
       o.sum_initial_amount * c.smallest_unit AS amount,
       CASE WHEN s.is_success THEN coalesce(t.sign, 0) * CAST(o.sum_initial_amount AS numeric) ELSE 0 END AS net_minor,
       CASE WHEN s.is_success THEN o.sum_initial_amount * c.smallest_unit * coalesce(t.sign, 0) ELSE 0 * c.smallest_unit END AS net,
       o.sum_converted_currency AS converted_currency,
       o.sum_converted_amount AS converted_minor,
       o.sum_converted_amount * cc.smallest_unit AS converted,
       day.business_at,
       (day.business_at AT TIME ZONE z.zone)::date AS business_date,
       o.operation_created_at AS created_at,
       o.operation_completed_at AS completed_at,
       o.provider_date AS provider_at,
       o.shipment_date AS shipped_at,
       o.payment_method_name, o.payment_method_type, o.payment_provider_code, o.payment_provider_message,
       o.arn, o.rrn, o.bin, o.bank_name, o.country_by_bin, o.country_by_ip, o.card_product_name, o.eci,
       o.first_seen_at, o.observed_at
FROM core.operations o
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
CROSS JOIN LATERAL (
    SELECT core.business_at(o) AS business_at
) AS day
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.currencies c ON c.currency = o.sum_initial_currency
    AND c.valid_from <= (day.business_at AT TIME ZONE z.zone)::date
    AND (c.valid_to IS NULL OR c.valid_to > (day.business_at AT TIME ZONE z.zone)::date)
LEFT JOIN core.currencies cc ON cc.currency = o.sum_converted_currency
    AND cc.valid_from <= (day.business_at AT TIME ZONE z.zone)::date
    AND (cc.valid_to IS NULL OR cc.valid_to > (day.business_at AT TIME ZONE z.zone)::date)
WHERE NOT EXISTS (
    SELECT FROM core.account_projects p
    WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted);
COMMENT ON VIEW bi.fct_operations IS 'One row an operation as last observed, without personal data; of a project that several accounts see, for one of them. Filter on business_at with account: it is indexed, business_date is not.';
COMMENT ON COLUMN bi.fct_operations.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.fct_operations.operation_id IS 'The platform''s id of the operation, digits.';
COMMENT ON COLUMN bi.fct_operations.project_id IS 'The platform''s project id.';
COMMENT ON COLUMN bi.fct_operations.payment_id IS 'The merchant''s own id of the payment.';
COMMENT ON COLUMN bi.fct_operations.operation_type IS 'sale, auth, capture, cancel, recurring, refund, reversal, payout, account verification; more may come.';
COMMENT ON COLUMN bi.fct_operations.operation_status IS 'success, decline, error, processing, awaiting …; more may come.';
COMMENT ON COLUMN bi.fct_operations.is_final IS 'No further status is expected.';
COMMENT ON COLUMN bi.fct_operations.is_success IS 'Approved.';
COMMENT ON COLUMN bi.fct_operations.currency IS 'ISO 4217 alpha-3 code of amount_minor, amount, net_minor and net.';
COMMENT ON COLUMN bi.fct_operations.amount_minor IS 'Amount as requested, in minor units of currency, without sign.';
COMMENT ON COLUMN bi.fct_operations.amount IS 'The same in major units; NULL when the currency''s decimals are not known.';
COMMENT ON COLUMN bi.fct_operations.net_minor IS 'What it did to the merchant''s money, signed, in minor units of currency; 0 unless it succeeded.';
COMMENT ON COLUMN bi.fct_operations.net IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_operations.converted_currency IS 'ISO 4217 alpha-3 code of converted_minor and converted.';
COMMENT ON COLUMN bi.fct_operations.converted_minor IS 'Amount in the provider''s currency, in minor units of converted_currency.';
COMMENT ON COLUMN bi.fct_operations.converted IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_operations.business_at IS 'The moment that decides its business day: completed, else created, else first seen.';
COMMENT ON COLUMN bi.fct_operations.business_date IS 'Day of business_at in the reporting zone.';
COMMENT ON COLUMN bi.fct_operations.created_at IS 'When the operation was created.';
COMMENT ON COLUMN bi.fct_operations.completed_at IS 'When it became final; NULL until then.';
COMMENT ON COLUMN bi.fct_operations.provider_at IS 'When the provider completed it.';
COMMENT ON COLUMN bi.fct_operations.shipped_at IS 'When it was posted for clearing.';
COMMENT ON COLUMN bi.fct_operations.payment_method_name IS 'Name of the payment method.';
COMMENT ON COLUMN bi.fct_operations.payment_method_type IS 'Type of the payment method, for example visa.';
COMMENT ON COLUMN bi.fct_operations.payment_provider_code IS 'The issuer''s or provider''s answer code; leading zeros kept.';
COMMENT ON COLUMN bi.fct_operations.payment_provider_message IS 'The issuer''s or provider''s answer in words.';
COMMENT ON COLUMN bi.fct_operations.arn IS 'Acquirer reference number; leading zeros kept.';
COMMENT ON COLUMN bi.fct_operations.rrn IS 'Retrieval reference number; leading zeros kept.';
COMMENT ON COLUMN bi.fct_operations.bin IS 'First digits of the card number (SYNC_FIELDS).';
COMMENT ON COLUMN bi.fct_operations.bank_name IS 'The issuer''s name (SYNC_FIELDS).';
COMMENT ON COLUMN bi.fct_operations.country_by_bin IS 'The issuer''s country (SYNC_FIELDS).';
COMMENT ON COLUMN bi.fct_operations.country_by_ip IS 'The customer''s country by IP address (SYNC_FIELDS).';
COMMENT ON COLUMN bi.fct_operations.card_product_name IS 'The card product (SYNC_FIELDS).';
COMMENT ON COLUMN bi.fct_operations.eci IS 'Electronic commerce indicator; leading zeros kept (SYNC_FIELDS).';
COMMENT ON COLUMN bi.fct_operations.first_seen_at IS 'When it was first observed in any state.';
COMMENT ON COLUMN bi.fct_operations.observed_at IS 'When the request that brought this state was started.';

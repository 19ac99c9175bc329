-- bi.fct_fraud: one row a report of fraud, without personal data.
CREATE OR REPLACE VIEW bi.fct_fraud AS
SELECT f.account, f.report_key, f.project_id, f.payment_id, f.operation_id, f.fraud_type,
       f.tr_ccy AS currency, f.tr_amount_minor AS amount_minor, f.tr_amount AS amount,
       f.channel_amount_in_usd AS amount_in_usd,
       f.payment_method_type, f.arn, f.bin, f.issuer_bank_name, f.issuer_country, f.country_by_ip,
       f.fraud_report_date AS reported_at, (f.fraud_report_date AT TIME ZONE z.zone)::date AS reported_date,
       f.received_on AS received_at, (f.received_on AT TIME ZONE z.zone)::date AS received_date,
       f.purchase_date AS purchased_at, (f.purchase_date AT TIME ZONE z.zone)::date AS purchased_date,
       f.report_and_purchase_date_difference AS days_to_report,
       o.operation_id IS NOT NULL AS is_operation_known, o.operation_type, o.operation_status,
       f.first_seen_at, f.observed_at
FROM core.fraud_reports f
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
LEFT JOIN core.operations o ON o.account = f.account AND o.operation_id = f.operation_id
WHERE NOT EXISTS (
    SELECT FROM core.account_projects p
    WHERE p.account = f.account AND p.project_id = f.project_id AND NOT p.is_counted);
COMMENT ON VIEW bi.fct_fraud IS 'One row a report of fraud by a payment system, without personal data, with the operation it is about; of a project that several accounts see, for one of them.';
COMMENT ON COLUMN bi.fct_fraud.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.fct_fraud.report_key IS 'Our own id of the report.';
COMMENT ON COLUMN bi.fct_fraud.project_id IS 'The platform''s project id.';
COMMENT ON COLUMN bi.fct_fraud.payment_id IS 'The merchant''s own id of the payment.';
COMMENT ON COLUMN bi.fct_fraud.operation_id IS 'The platform''s id of the reported operation.';
COMMENT ON COLUMN bi.fct_fraud.fraud_type IS 'Kind of fraud as the payment system names it.';
COMMENT ON COLUMN bi.fct_fraud.currency IS 'ISO 4217 alpha-3 code of amount_minor and amount.';
COMMENT ON COLUMN bi.fct_fraud.amount_minor IS 'Amount of the transaction in minor units of currency; NULL when its decimals are not known.';
COMMENT ON COLUMN bi.fct_fraud.amount IS 'Amount of the transaction in major units of currency.';
COMMENT ON COLUMN bi.fct_fraud.amount_in_usd IS 'The payment system''s own figure in US dollars, major units.';
COMMENT ON COLUMN bi.fct_fraud.payment_method_type IS 'For example visa.';
COMMENT ON COLUMN bi.fct_fraud.arn IS 'Acquirer reference number; leading zeros kept.';
COMMENT ON COLUMN bi.fct_fraud.bin IS 'First digits of the card number.';
COMMENT ON COLUMN bi.fct_fraud.issuer_bank_name IS 'The issuer''s name.';
COMMENT ON COLUMN bi.fct_fraud.issuer_country IS 'The issuer''s country.';
COMMENT ON COLUMN bi.fct_fraud.country_by_ip IS 'The customer''s country by IP address.';
COMMENT ON COLUMN bi.fct_fraud.reported_at IS 'When it was reported.';
COMMENT ON COLUMN bi.fct_fraud.reported_date IS 'Business day of reported_at.';
COMMENT ON COLUMN bi.fct_fraud.received_at IS 'When the platform received the report.';
COMMENT ON COLUMN bi.fct_fraud.received_date IS 'Business day of received_at.';
COMMENT ON COLUMN bi.fct_fraud.purchased_at IS 'When the purchase was made.';
COMMENT ON COLUMN bi.fct_fraud.purchased_date IS 'Business day of purchased_at.';
COMMENT ON COLUMN bi.fct_fraud.days_to_report IS 'Days from purchase to report, as given.';
COMMENT ON COLUMN bi.fct_fraud.is_operation_known IS 'Whether the reported operation is in the store.';
COMMENT ON COLUMN bi.fct_fraud.operation_type IS 'Type of the reported operation.';
COMMENT ON COLUMN bi.fct_fraud.operation_status IS 'Status of the reported operation as last observed.';
COMMENT ON COLUMN bi.fct_fraud.first_seen_at IS 'When the report was first observed.';
COMMENT ON COLUMN bi.fct_fraud.observed_at IS 'When the request that brought this state was started.';

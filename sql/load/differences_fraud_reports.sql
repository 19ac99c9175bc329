-- Staged reports that the store does not hold as they were observed, at the time they were observed.
SELECT s.report_key AS key, s.observed_at,
       CASE WHEN o.report_key IS NULL THEN 'missing in the store' ELSE 'stored otherwise' END AS reason
FROM staging_fraud_reports s
LEFT JOIN LATERAL (
    SELECT c.*, 'infinity'::timestamptz AS known_to FROM core.fraud_reports c
    WHERE c.account = s.account AND c.report_key = s.report_key AND c.observed_at <= s.observed_at
    UNION ALL
    SELECT v.* FROM core.fraud_report_versions v
    WHERE v.account = s.account AND v.report_key = s.report_key
      AND v.observed_at <= s.observed_at AND v.known_to > s.observed_at
) AS o ON true
WHERE o.report_key IS NULL OR (
        o.project_id, o.payment_id, o.operation_id, o.tr_amount, o.tr_ccy, o.tr_amount_minor, o.account_number,
        o.payment_method_type, o.row_updated_at, o.customer_id, o.project_name, o.arn, o.fraud_type,
        o.fraud_report_date, o.issuer_country, o.received_on, o.purchase_date, o.channel_amount_in_usd,
        o.issuer_bank_name, o.bin, o.country_by_ip, o.customer_email, o.report_and_purchase_date_difference,
        o.extra
      ) IS DISTINCT FROM (
        s.project_id, s.payment_id, s.operation_id, s.tr_amount, s.tr_ccy, s.tr_amount_minor, s.account_number,
        s.payment_method_type, s.row_updated_at, s.customer_id, s.project_name, s.arn, s.fraud_type,
        s.fraud_report_date, s.issuer_country, s.received_on, s.purchase_date, s.channel_amount_in_usd,
        s.issuer_bank_name, s.bin, s.country_by_ip, s.customer_email, s.report_and_purchase_date_difference,
        s.extra
      )
ORDER BY s.report_key

-- A stored report that differs from a later observation leaves for core.fraud_report_versions; the last observation
-- wins, so one that is not later than the stored row changes nothing. Rows affected: the changed reports.
WITH outdated AS (
    DELETE FROM core.fraud_reports o
    USING staging_fraud_reports s
    WHERE o.account = s.account AND o.report_key = s.report_key
      AND o.observed_at < s.observed_at
      AND (
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
    RETURNING o.*, s.observed_at AS known_to
), versioned AS (
    INSERT INTO core.fraud_report_versions SELECT * FROM outdated
    RETURNING account, report_key, first_seen_at
)
UPDATE staging_fraud_reports s SET first_seen_at = v.first_seen_at
FROM versioned v
WHERE v.account = s.account AND v.report_key = s.report_key

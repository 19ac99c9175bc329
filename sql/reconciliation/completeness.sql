-- name: keep_transaction
-- Open while the day is walked, which takes as long as the platform takes to answer.
SELECT set_config('idle_in_transaction_session_timeout', '0', true)

-- name: keep_last_observed
-- An operation that two windows met counts as it was observed last.
DELETE FROM staging_operations s
USING staging_operations later
WHERE later.operation_id = s.operation_id AND (later.observed_at, later.ctid) > (s.observed_at, s.ctid)

-- name: analyze_staging
ANALYZE staging_operations

-- name: compare_walk
-- The day ends with the second :last, which the walk shares with the next day, and whose operations are of that one.
-- A fresh walk (staging_operations) against the store: missing, stored otherwise, gone, moved; control totals and
-- digests of both sides. gone: its stored state came from a walk of this very day alone, so that a walk of the day
-- must still meet it, if it had not changed since.
WITH walked AS (
    SELECT s.operation_id, o.operation_id IS NULL AS is_missing,
           o.operation_id IS NOT NULL AND (
        o.project_id, o.payment_id, o.operation_type, o.operation_status, o.account_number, o.customer_ip,
        o.payment_method_name, o.payment_method_type, o.payment_description, o.operation_created_at,
        o.operation_completed_at, o.provider_date, o.shipment_date, o.sum_initial_amount, o.sum_initial_currency,
        o.sum_converted_amount, o.sum_converted_currency, o.arn, o.rrn, o.payment_provider_code,
        o.payment_provider_message, o.bin, o.bank_name, o.card_enroll_check, o.card_holder, o.card_product_name,
        o.card_token, o.expiration_date, o.country_by_bin, o.eci, o.secure_3ds_check, o.auth_code, o.avs_post_code,
        o.avs_street_address, o.avs_result, o.customer_id, o.customer_email, o.country_by_ip, o.completed_refund,
        o.remaining_refund, o.currency_rate, o.payment_currency, o.balance_id, o.payment_type,
        o.transaction_created_at, o.transaction_completed_at, o.transaction_status, o.provider_payment_id,
        o.recurring_id, o.recurring_register, o.recurring_valid_thru, o.acquirer_bank_name, o.legal_entity_name,
        o.merchant_id, o.project_name, o.project_url, o.extra
           ) IS DISTINCT FROM (
        s.project_id, s.payment_id, s.operation_type, s.operation_status, s.account_number, s.customer_ip,
        s.payment_method_name, s.payment_method_type, s.payment_description, s.operation_created_at,
        s.operation_completed_at, s.provider_date, s.shipment_date, s.sum_initial_amount, s.sum_initial_currency,
        s.sum_converted_amount, s.sum_converted_currency, s.arn, s.rrn, s.payment_provider_code,
        s.payment_provider_message, s.bin, s.bank_name, s.card_enroll_check, s.card_holder, s.card_product_name,
        s.card_token, s.expiration_date, s.country_by_bin, s.eci, s.secure_3ds_check, s.auth_code, s.avs_post_code,
        s.avs_street_address, s.avs_result, s.customer_id, s.customer_email, s.country_by_ip, s.completed_refund,
        s.remaining_refund, s.currency_rate, s.payment_currency, s.balance_id, s.payment_type,
        s.transaction_created_at, s.transaction_completed_at, s.transaction_status, s.provider_payment_id,
        s.recurring_id, s.recurring_register, s.recurring_valid_thru, s.acquirer_bank_name, s.legal_entity_name,
        s.merchant_id, s.project_name, s.project_url, s.extra
           ) AS is_different,
           s.sum_initial_currency AS currency, s.operation_type AS type, s.operation_status AS status,
           s.sum_initial_amount AS minor, o.sum_initial_currency AS stored_currency, o.operation_type AS stored_type,
           o.operation_status AS stored_status, o.sum_initial_amount AS stored_minor,
           md5(concat_ws('|', s.operation_id, s.project_id, s.payment_id, s.operation_type, s.operation_status,
               s.sum_initial_amount, s.sum_initial_currency, extract(epoch FROM s.operation_created_at),
               extract(epoch FROM s.operation_completed_at))) AS digest,
           CASE WHEN o.operation_id IS NOT NULL THEN md5(concat_ws('|', o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
               o.sum_initial_amount, o.sum_initial_currency, extract(epoch FROM o.operation_created_at),
               extract(epoch FROM o.operation_completed_at))) END AS stored_digest
    FROM staging_operations s
    LEFT JOIN core.operations o ON o.account = s.account AND o.operation_id = s.operation_id
    WHERE s.operation_completed_at IS DISTINCT FROM CAST(:last AS timestamptz)
), unmet AS (
    SELECT o.operation_id, coalesce(w.interval_from >= :first AND w.interval_to <= :last, false) AS is_gone,
           o.sum_initial_currency AS currency, o.operation_type AS type, o.operation_status AS status,
           o.sum_initial_amount AS minor, md5(concat_ws('|', o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
               o.sum_initial_amount, o.sum_initial_currency, extract(epoch FROM o.operation_created_at),
               extract(epoch FROM o.operation_completed_at))) AS digest
    FROM core.operations o
    LEFT JOIN sync.windows w ON w.window_id = o.window_id
    WHERE o.account = :account AND o.operation_completed_at >= :first AND o.operation_completed_at < :last
      AND NOT EXISTS (SELECT FROM staging_operations s WHERE s.operation_id = o.operation_id)
), stored AS (
    SELECT operation_id, stored_currency AS currency, stored_type AS type, stored_status AS status,
           stored_minor AS minor, stored_digest AS digest
    FROM walked WHERE NOT is_missing
    UNION ALL
    SELECT operation_id, currency, type, status, minor, digest FROM unmet WHERE is_gone
)
SELECT (SELECT count(*) FROM walked) AS rows_walked,
       (SELECT count(*) FROM walked WHERE is_missing) AS rows_missing,
       (SELECT count(*) FROM walked WHERE is_different) AS rows_differing,
       (SELECT count(*) FROM unmet WHERE is_gone) AS rows_gone,
       (SELECT count(*) FROM unmet WHERE NOT is_gone) AS rows_moved,
       (SELECT min(operation_id) FROM (
            SELECT operation_id FROM walked WHERE is_missing OR is_different
            UNION ALL SELECT operation_id FROM unmet WHERE is_gone
        ) AS wrong) AS first_difference,
       (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY currency, type, status), '[]') FROM (
            SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor FROM walked GROUP BY 1, 2, 3
        ) AS t) AS totals_walked,
       (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY currency, type, status), '[]') FROM (
            SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor FROM stored GROUP BY 1, 2, 3
        ) AS t) AS totals_stored,
       (SELECT encode(sha256(convert_to(coalesce(string_agg(digest, '' ORDER BY operation_id), ''), 'UTF8')), 'hex')
        FROM walked) AS digest_walked,
       (SELECT encode(sha256(convert_to(coalesce(string_agg(digest, '' ORDER BY operation_id), ''), 'UTF8')), 'hex')
        FROM stored) AS digest_stored

-- name: add_completeness
INSERT INTO recon.completeness (
    account, business_date, walked_at, interval_from, interval_to, verdict, reason, requests, rows_walked, rows_rejected,
    rows_missing, rows_differing, rows_gone, rows_moved, totals_walked, totals_stored, digest_walked, digest_stored
)
VALUES (
    :account, :day, :walked_at, :first, :last, :verdict, :reason, :requests, :rows_walked, :rows_rejected,
    :rows_missing, :rows_differing, :rows_gone, :rows_moved, CAST(:totals_walked AS jsonb), CAST(:totals_stored AS jsonb),
    :digest_walked, :digest_stored
)

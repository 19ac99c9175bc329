-- The stale payments from all of their operations. Each amount becomes major units on its own day, so that a change
-- of a currency's decimals in the middle of a payment adds up.
CREATE TEMPORARY TABLE new_payments ON COMMIT DROP AS
WITH operation AS (
    SELECT p.account, p.project_id, p.payment_id, coalesce(o.sum_initial_currency, '(none)') AS currency,
           o.operation_type AS type, coalesce(s.is_success, false) AS is_success, coalesce(s.is_final, false) AS is_final,
           coalesce(t.sign, 0) AS sign, coalesce(o.sum_initial_amount, 0) AS minor,
           CASE WHEN o.sum_initial_amount IS NULL THEN 0 ELSE o.sum_initial_amount * c.smallest_unit END AS major,
           coalesce(o.operation_created_at, o.operation_completed_at, o.first_seen_at) AS begun_at,
           coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS business_at
    FROM stale_payments p
    JOIN core.operations o ON o.account = p.account AND o.payment_id = p.payment_id
        AND coalesce(o.project_id, '(none)') = p.project_id
        AND NOT EXISTS (
            SELECT FROM core.account_projects a
            WHERE a.account = o.account AND a.project_id = o.project_id AND NOT a.is_counted)
    CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
    LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
    LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
    LEFT JOIN core.currencies c ON c.currency = o.sum_initial_currency
        AND c.valid_from <= (coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AT TIME ZONE zone)::date
        AND (c.valid_to IS NULL
             OR c.valid_to > (coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AT TIME ZONE zone)::date)
), payment AS (
    SELECT account, project_id, payment_id, currency, count(*) AS operations,
           sum(minor) FILTER (WHERE is_success AND type = 'auth') AS authorised_minor,
           sum(minor) FILTER (WHERE is_success AND type = 'capture') AS captured_minor,
           sum(minor) FILTER (WHERE is_success AND type IN ('sale', 'recurring')) AS sold_minor,
           sum(minor) FILTER (WHERE is_success AND type = 'refund') AS refunded_minor,
           sum(minor) FILTER (WHERE is_success AND type = 'reversal') AS reversed_minor,
           sum(minor) FILTER (WHERE is_success AND type = 'payout') AS paid_out_minor,
           sum(sign * minor) FILTER (WHERE is_success) AS net_minor,
           sum(major) FILTER (WHERE is_success AND type = 'auth') AS authorised,
           sum(major) FILTER (WHERE is_success AND type = 'capture') AS captured,
           sum(major) FILTER (WHERE is_success AND type IN ('sale', 'recurring')) AS sold,
           sum(major) FILTER (WHERE is_success AND type = 'refund') AS refunded,
           sum(major) FILTER (WHERE is_success AND type = 'reversal') AS reversed,
           sum(major) FILTER (WHERE is_success AND type = 'payout') AS paid_out,
           sum(sign * major) FILTER (WHERE is_success) AS net,
           bool_or(is_success AND type = 'cancel') AS is_cancelled,
           bool_or(is_success AND type = 'account verification') AS is_verified,
           bool_or(NOT is_final) AS is_pending,
           bool_and(major IS NOT NULL) AS has_major,
           min(begun_at) AS first_operation_at, max(business_at) AS last_operation_at,
           min(business_at) FILTER (WHERE is_success) AS first_approved_at
    FROM operation
    GROUP BY account, project_id, payment_id, currency
)
SELECT account, project_id, payment_id, currency,
       CASE
           WHEN coalesce(sold_minor, 0) + coalesce(captured_minor, 0) > 0
                AND coalesce(refunded_minor, 0) + coalesce(reversed_minor, 0) >= coalesce(sold_minor, 0) + coalesce(captured_minor, 0)
               THEN 'refunded'
           WHEN coalesce(refunded_minor, 0) + coalesce(reversed_minor, 0) > 0 THEN 'partially refunded'
           WHEN coalesce(sold_minor, 0) + coalesce(captured_minor, 0) > 0 THEN 'paid'
           WHEN coalesce(paid_out_minor, 0) > 0 THEN 'paid out'
           WHEN is_cancelled THEN 'cancelled'
           WHEN coalesce(authorised_minor, 0) > 0 THEN 'authorised'
           WHEN is_pending THEN 'pending'
           WHEN is_verified THEN 'verified'
           WHEN first_approved_at IS NOT NULL THEN 'paid'
           ELSE 'declined'
       END AS payment_status,
       operations,
       coalesce(authorised_minor, 0)::bigint AS authorised_minor, CASE WHEN has_major THEN coalesce(authorised, 0) END AS authorised,
       coalesce(captured_minor, 0)::bigint AS captured_minor, CASE WHEN has_major THEN coalesce(captured, 0) END AS captured,
       coalesce(sold_minor, 0)::bigint AS sold_minor, CASE WHEN has_major THEN coalesce(sold, 0) END AS sold,
       coalesce(refunded_minor, 0)::bigint AS refunded_minor, CASE WHEN has_major THEN coalesce(refunded, 0) END AS refunded,
       coalesce(reversed_minor, 0)::bigint AS reversed_minor, CASE WHEN has_major THEN coalesce(reversed, 0) END AS reversed,
       coalesce(paid_out_minor, 0)::bigint AS paid_out_minor, CASE WHEN has_major THEN coalesce(paid_out, 0) END AS paid_out,
       coalesce(net_minor, 0)::bigint AS net_minor, CASE WHEN has_major THEN coalesce(net, 0) END AS net,
       is_pending, first_operation_at, (first_operation_at AT TIME ZONE zone)::date AS first_operation_date,
       last_operation_at, (last_operation_at AT TIME ZONE zone)::date AS last_operation_date, first_approved_at
FROM payment
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z

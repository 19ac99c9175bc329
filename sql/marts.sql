-- name: dim_date
-- Every day of the years that the facts are in, to the end of next year; a stray date in a far year brings its year
-- only.
INSERT INTO bi.dim_date
SELECT day, extract(isoyear FROM day), extract(week FROM day), extract(isodow FROM day), date_trunc('week', day)::date,
       extract(year FROM day), extract(quarter FROM day), extract(month FROM day),
       date_trunc('month', day)::date, month_end, day = month_end, extract(isodow FROM day) > 5,
       extract(year FROM fiscal_start + interval '1 year' - interval '1 day'),
       (fiscal_month - 1) / 3 + 1, fiscal_month, fiscal_start
FROM (
    SELECT business_date AS day,
           (date_trunc('month', business_date) + interval '1 month' - interval '1 day')::date AS month_end,
           ((extract(month FROM business_date)::integer - first_month + 12) % 12) + 1 AS fiscal_month,
           (date_trunc('month', business_date)
            - make_interval(months => (extract(month FROM business_date)::integer - first_month + 12) % 12))::date
               AS fiscal_start
    FROM (SELECT value::integer AS first_month FROM core.settings WHERE key = 'fiscal_year_start_month') AS s
    CROSS JOIN (
        WITH met AS (
            SELECT extract(year FROM business_date)::integer AS year FROM new_daily_overview
            UNION SELECT extract(year FROM first_operation_date)::integer FROM new_payments
            UNION SELECT extract(year FROM last_operation_date)::integer FROM new_payments
            UNION SELECT extract(year FROM business_date)::integer FROM new_balances_daily
        ), years AS (
            SELECT year FROM met
            UNION SELECT generate_series(
                (SELECT least(min(year), extract(year FROM now())::integer) FROM met WHERE year >= 2000),
                extract(year FROM now())::integer + 1)
        )
        SELECT make_date(year, 1, 1) + days.number AS business_date
        FROM years, generate_series(0, 365) AS days (number)
        WHERE make_date(year, 1, 1) + days.number < make_date(year + 1, 1, 1)
    ) AS days
) AS day
ON CONFLICT (business_date) DO NOTHING

-- name: dim_project
-- Projects of the new windows' states, current and former; a name counts from the last time it was observed.
INSERT INTO bi.dim_project (account, project_id, project_name, name_observed_at)
SELECT DISTINCT ON (account, project_id) account, project_id, project_name,
       CASE WHEN project_name IS NOT NULL THEN observed_at END
FROM (
    SELECT o.account, coalesce(o.project_id, '(none)') AS project_id, o.project_name, max(o.observed_at) AS observed_at
    FROM new_windows n JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT v.account, coalesce(v.project_id, '(none)'), v.project_name, max(v.observed_at)
    FROM new_windows n JOIN core.operation_versions v ON v.window_id = n.window_id AND v.account = n.account
    GROUP BY 1, 2, 3
) AS met
ORDER BY account, project_id, project_name IS NULL, observed_at DESC, project_name DESC
ON CONFLICT (account, project_id) DO UPDATE
SET project_name = excluded.project_name, name_observed_at = excluded.name_observed_at
WHERE excluded.project_name IS NOT NULL
  AND (bi.dim_project.name_observed_at IS NULL
       OR (excluded.name_observed_at, excluded.project_name) > (bi.dim_project.name_observed_at, bi.dim_project.project_name))

-- name: dim_operation_status
-- Every pair of known type and status, and every other pair met.
INSERT INTO bi.dim_operation_status
SELECT pair.operation_type, pair.operation_status, coalesce(s.is_final, false), coalesce(s.is_success, false),
       coalesce(t.is_money, false), CASE WHEN s.is_success THEN coalesce(t.sign, 0) ELSE 0 END
FROM (
    SELECT operation_type, operation_status FROM core.operation_types, core.operation_statuses
    UNION SELECT operation_type, operation_status FROM new_daily_overview
) AS pair
LEFT JOIN core.operation_types t USING (operation_type)
LEFT JOIN core.operation_statuses s USING (operation_status)
ON CONFLICT (operation_type, operation_status) DO NOTHING

-- name: isolate
-- Every statement of the refresh sees the core of one moment. Before any query, so that the lock is waited for first.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: lock
-- One refresh at a time; takes no snapshot, so what the refresh before committed is seen.
LOCK TABLE sync.mart_refreshes IN SHARE ROW EXCLUSIVE MODE

-- name: needs_full
-- Built with other currencies or settings, or not yet at all: build everything.
SELECT 1
FROM core.settings s
WHERE s.key = 'reference_fingerprint'
  AND NOT EXISTS (SELECT 1 FROM sync.mart_refreshes m WHERE m.mart_group = 'operations')
   OR EXISTS (
    SELECT 1 FROM sync.mart_refreshes m
    WHERE m.mart_group = 'operations' AND s.key = 'reference_fingerprint' AND m.reference_fingerprint <> s.value)

-- name: new_daily_overview
-- The figures of the stale days, read from the core by the index on the moment that decides the day: OFFSET 0 keeps
-- the planner from holding every operation against every day.
CREATE TEMPORARY TABLE new_daily_overview ON COMMIT DROP AS
SELECT g.account, g.business_date, g.project_id, g.currency, g.operation_type, g.operation_status, g.operations,
       g.amount_minor, g.amount_minor * c.smallest_unit AS amount
FROM (
    SELECT d.account, d.business_date,
           coalesce(o.project_id, '(none)') AS project_id,
           coalesce(o.sum_initial_currency, '(none)') AS currency,
           coalesce(o.operation_type, '(none)') AS operation_type,
           coalesce(o.operation_status, '(none)') AS operation_status,
           count(*) AS operations, sum(o.sum_initial_amount)::bigint AS amount_minor
    FROM stale_days d
    CROSS JOIN LATERAL (
        SELECT * FROM core.operations o
        WHERE o.account = d.account
            AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) >= d.starts_at
            AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) < d.ends_at
        OFFSET 0
    ) AS o
    WHERE NOT EXISTS (
        SELECT FROM core.account_projects p
        WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted)
    GROUP BY 1, 2, 3, 4, 5, 6
) AS g
LEFT JOIN core.currencies c ON c.currency = g.currency
    AND c.valid_from <= g.business_date AND (c.valid_to IS NULL OR c.valid_to > g.business_date)

-- name: new_payments
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

-- name: new_approval_by_method
-- Attempts of the stale days that came to an end. A text of the platform is cut, so that a key can hold it.
CREATE TEMPORARY TABLE new_approval_by_method ON COMMIT DROP AS
SELECT g.*, g.attempted_minor * c.smallest_unit AS attempted, g.approved_minor * c.smallest_unit AS approved_amount
FROM (
    SELECT d.account, d.business_date, coalesce(o.project_id, '(none)') AS project_id,
           coalesce(o.sum_initial_currency, '(none)') AS currency, o.operation_type,
           left(coalesce(o.payment_method_type, '(none)'), 64) AS payment_method_type,
           left(coalesce(o.country_by_bin, '(none)'), 64) AS country_by_bin,
           left(coalesce(o.bin, '(none)'), 64) AS bin,
           count(*) AS attempts, count(*) FILTER (WHERE o.operation_status = 'success') AS approved,
           count(*) FILTER (WHERE o.operation_status = 'decline') AS declined,
           count(*) FILTER (WHERE o.operation_status = 'error') AS failed,
           coalesce(sum(o.sum_initial_amount), 0)::bigint AS attempted_minor,
           coalesce(sum(o.sum_initial_amount) FILTER (WHERE o.operation_status = 'success'), 0)::bigint AS approved_minor
    FROM stale_days d
    CROSS JOIN LATERAL (
        SELECT * FROM core.operations o
        WHERE o.account = d.account
            AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) >= d.starts_at
            AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) < d.ends_at
        OFFSET 0
    ) AS o
    WHERE o.operation_type IN ('sale', 'auth', 'recurring') AND o.operation_status IN ('success', 'decline', 'error')
        AND NOT EXISTS (
            SELECT FROM core.account_projects p
            WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
) AS g
LEFT JOIN core.currencies c ON c.currency = g.currency
    AND c.valid_from <= g.business_date AND (c.valid_to IS NULL OR c.valid_to > g.business_date)

-- name: new_decline_reasons
-- Attempts of the stale days that were declined or failed, likewise.
CREATE TEMPORARY TABLE new_decline_reasons ON COMMIT DROP AS
SELECT g.*, g.amount_minor * c.smallest_unit AS amount
FROM (
    SELECT d.account, d.business_date, coalesce(o.project_id, '(none)') AS project_id,
           coalesce(o.sum_initial_currency, '(none)') AS currency, o.operation_type,
           o.operation_status, left(coalesce(o.payment_method_type, '(none)'), 64) AS payment_method_type,
           left(coalesce(o.payment_provider_code, '(none)'), 64) AS payment_provider_code,
           left(coalesce(o.payment_provider_message, '(none)'), 200) AS payment_provider_message,
           count(*) AS operations, sum(o.sum_initial_amount)::bigint AS amount_minor
    FROM stale_days d
    CROSS JOIN LATERAL (
        SELECT * FROM core.operations o
        WHERE o.account = d.account
            AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) >= d.starts_at
            AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) < d.ends_at
        OFFSET 0
    ) AS o
    WHERE o.operation_type IN ('sale', 'auth', 'recurring') AND o.operation_status IN ('decline', 'error')
        AND NOT EXISTS (
            SELECT FROM core.account_projects p
            WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
) AS g
LEFT JOIN core.currencies c ON c.currency = g.currency
    AND c.valid_from <= g.business_date AND (c.valid_to IS NULL OR c.valid_to > g.business_date)

-- name: new_retries
-- Of the stale payments those that were attempted again after an attempt that was declined or failed. Attempts follow
-- each other as they were begun. The later ones are looked up by payment, one failed attempt after the other: whatever the
-- planner expects, that is one way of the index for each.
CREATE TEMPORARY TABLE new_retries ON COMMIT DROP AS
WITH failed AS (
    SELECT DISTINCT ON (p.account, p.project_id, p.payment_id, coalesce(o.sum_initial_currency, '(none)'))
           p.account, p.project_id, p.payment_id, coalesce(o.sum_initial_currency, '(none)') AS currency,
           o.operation_id, o.operation_status AS status, o.payment_provider_code, o.payment_provider_message,
           o.sum_initial_amount AS minor, coalesce(o.operation_created_at, o.operation_completed_at, o.first_seen_at) AS begun_at,
           coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS business_at
    FROM stale_payments p
    JOIN core.operations o ON o.account = p.account AND o.payment_id = p.payment_id
        AND coalesce(o.project_id, '(none)') = p.project_id
        AND o.operation_type IN ('sale', 'auth', 'recurring') AND o.operation_status IN ('decline', 'error')
        AND NOT EXISTS (
            SELECT FROM core.account_projects a
            WHERE a.account = o.account AND a.project_id = o.project_id AND NOT a.is_counted)
    ORDER BY p.account, p.project_id, p.payment_id, coalesce(o.sum_initial_currency, '(none)'),
             coalesce(o.operation_created_at, o.operation_completed_at, o.first_seen_at), o.operation_id
)
SELECT f.account, f.project_id, f.payment_id, f.currency, f.business_at AS first_failed_at,
       (f.business_at AT TIME ZONE zone)::date AS first_failed_date, f.status AS first_failed_status,
       f.payment_provider_code, f.payment_provider_message, r.retries,
       CASE
           WHEN r.approved_at IS NOT NULL THEN 'approved'
           WHEN NOT r.is_final THEN 'pending'
           WHEN r.last_status = 'decline' THEN 'declined'
           ELSE 'failed'
       END AS outcome,
       r.last_attempt_at, r.approved_at,
       CASE
           WHEN r.approved_at IS NOT NULL
               THEN greatest(0, floor(extract(epoch FROM r.approved_at - f.business_at) / 60))::bigint
       END AS minutes_to_approval,
       f.minor AS amount_minor, f.minor * c.smallest_unit AS amount
FROM failed f
CROSS JOIN LATERAL (
    SELECT count(*) AS retries,
           min(coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at)) FILTER (WHERE s.is_success) AS approved_at,
           max(coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at)) AS last_attempt_at,
           (array_agg(coalesce(s.is_final, false) ORDER BY coalesce(o.operation_created_at, o.operation_completed_at, o.first_seen_at) DESC, o.operation_id DESC))[1] AS is_final,
           (array_agg(o.operation_status ORDER BY coalesce(o.operation_created_at, o.operation_completed_at, o.first_seen_at) DESC, o.operation_id DESC))[1] AS last_status
    FROM core.operations o
    LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
    WHERE o.account = f.account AND o.payment_id = f.payment_id
        AND coalesce(o.project_id, '(none)') = f.project_id
        AND coalesce(o.sum_initial_currency, '(none)') = f.currency
        AND o.operation_type IN ('sale', 'auth', 'recurring')
        AND (coalesce(o.operation_created_at, o.operation_completed_at, o.first_seen_at), o.operation_id) > (f.begun_at, f.operation_id)
) AS r
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
LEFT JOIN core.currencies c ON c.currency = f.currency
    AND c.valid_from <= (f.business_at AT TIME ZONE zone)::date
    AND (c.valid_to IS NULL OR c.valid_to > (f.business_at AT TIME ZONE zone)::date)
WHERE r.retries > 0

-- name: new_refunds
-- What of the stale payments was given back, each with its sale.
CREATE TEMPORARY TABLE new_refunds ON COMMIT DROP AS
SELECT r.*, r.amount_minor * c.smallest_unit AS amount, r.refunded_date - r.sold_date AS days_to_refund,
       floor(extract(epoch FROM r.refunded_at - r.sold_at) / 3600)::bigint AS hours_to_refund
FROM (
    SELECT refund.*, (refund.refunded_at AT TIME ZONE zone)::date AS refunded_date,
           sale.sold_at, (sale.sold_at AT TIME ZONE zone)::date AS sold_date
    FROM (
        SELECT p.account, o.operation_id, p.project_id, p.payment_id, o.operation_type,
               coalesce(o.sum_initial_currency, '(none)') AS currency, o.sum_initial_amount AS amount_minor,
               coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS refunded_at
        FROM stale_payments p
        JOIN core.operations o ON o.account = p.account AND o.payment_id = p.payment_id
            AND coalesce(o.project_id, '(none)') = p.project_id
            AND o.operation_type IN ('refund', 'reversal')
            AND NOT EXISTS (
                SELECT FROM core.account_projects a
                WHERE a.account = o.account AND a.project_id = o.project_id AND NOT a.is_counted)
        JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
    ) AS refund
    CROSS JOIN LATERAL (
        SELECT max(coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at)) AS sold_at
        FROM core.operations o
        JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
        WHERE o.account = refund.account AND o.payment_id = refund.payment_id
            AND coalesce(o.project_id, '(none)') = refund.project_id
            AND coalesce(o.sum_initial_currency, '(none)') = refund.currency
            AND o.operation_type IN ('sale', 'capture', 'recurring')
            AND coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) <= refund.refunded_at
    ) AS sale
    CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
) AS r
LEFT JOIN core.currencies c ON c.currency = r.currency
    AND c.valid_from <= r.refunded_date AND (c.valid_to IS NULL OR c.valid_to > r.refunded_date)

-- name: new_balances_daily
-- All balances by business day; snapshots are few, so all days are built each time.
CREATE TEMPORARY TABLE new_balances_daily ON COMMIT DROP AS
WITH moment AS (
    SELECT b.account, (b.captured_at AT TIME ZONE s.value)::date AS business_date, b.balance_name, b.currency,
           b.captured_at, sum(b.amount_minor) AS minor
    FROM core.balance_snapshots b, core.settings s
    WHERE s.key = 'reporting_zone'
    GROUP BY 1, 2, 3, 4, 5
), day AS (
    SELECT account, business_date, balance_name, currency,
           ((array_agg(minor ORDER BY captured_at))[1])::bigint AS opening_minor,
           ((array_agg(minor ORDER BY captured_at DESC))[1])::bigint AS closing_minor,
           min(minor)::bigint AS lowest_minor, max(minor)::bigint AS highest_minor,
           count(*) AS snapshots, min(captured_at) AS first_captured_at, max(captured_at) AS last_captured_at
    FROM moment
    GROUP BY 1, 2, 3, 4
)
SELECT d.*, opening_minor * c.smallest_unit AS opening, closing_minor * c.smallest_unit AS closing,
       lowest_minor * c.smallest_unit AS lowest, highest_minor * c.smallest_unit AS highest
FROM day d
LEFT JOIN core.currencies c ON c.currency = d.currency
    AND c.valid_from <= d.business_date AND (c.valid_to IS NULL OR c.valid_to > d.business_date)

-- name: record
-- How far every account is; of an account without a new window only the time changes.
INSERT INTO sync.mart_refreshes
    (account, mart_group, entry_no, reference_fingerprint, refreshed_at, is_full, days, payments)
SELECT w.account, 'operations', max(w.entry_no), max(s.value), transaction_timestamp(), CAST(:is_full AS boolean),
       (SELECT count(*) FROM stale_days d WHERE d.account = w.account),
       (SELECT count(*) FROM stale_payments p WHERE p.account = w.account)
FROM sync.windows w, core.settings s
WHERE s.key = 'reference_fingerprint'
GROUP BY w.account
ON CONFLICT (account, mart_group) DO UPDATE SET
    entry_no = excluded.entry_no, reference_fingerprint = excluded.reference_fingerprint,
    refreshed_at = excluded.refreshed_at, is_full = excluded.is_full, days = excluded.days,
    payments = excluded.payments

-- name: report
SELECT (SELECT count(*) FROM stale_days) AS days, (SELECT count(*) FROM stale_payments) AS payments,
       (SELECT count(*) FROM new_windows) AS windows, transaction_timestamp() AS refreshed_at

-- name: row_counts
-- Of the tables; of large ones as the server last counted them.
SELECT 'daily_overview' AS mart, count(*) AS row_count FROM bi.daily_overview
UNION ALL SELECT 'dim_date', count(*) FROM bi.dim_date
UNION ALL SELECT 'dim_project', count(*) FROM bi.dim_project
UNION ALL SELECT 'dim_operation_status', count(*) FROM bi.dim_operation_status
UNION ALL SELECT 'fct_balances_daily', count(*) FROM bi.fct_balances_daily
UNION ALL SELECT 'decline_reasons_daily', count(*) FROM bi.decline_reasons_daily
UNION ALL SELECT 'fct_retries', count(*) FROM bi.fct_retries
UNION ALL SELECT 'fct_refunds', count(*) FROM bi.fct_refunds
UNION ALL SELECT 'approval_by_method_daily', greatest(reltuples, 0)::bigint
    FROM pg_class WHERE oid = 'bi.approval_by_method_daily'::regclass
UNION ALL SELECT 'fct_payments', greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'bi.fct_payments'::regclass

-- name: new_windows
-- Ledger entries whose rows are not in the marts yet; all of them when :is_full. Commits of an account come one
-- after the other, in the order of entry_no, so that none is passed over.
CREATE TEMPORARY TABLE new_windows ON COMMIT DROP AS
SELECT w.account, w.window_id, w.entry_no, w.committed_at
FROM sync.windows w
LEFT JOIN sync.mart_refreshes m ON m.account = w.account AND m.mart_group = 'operations'
WHERE w.stream = 'operations' AND (CAST(:is_full AS boolean) OR w.entry_no > coalesce(m.entry_no, 0))

-- name: analyze_new_windows
-- Without statistics a night's one window would be looked for among all operations, in the order of their windows.
ANALYZE new_windows

-- name: touched_all
-- All operations, for a full build.
CREATE TEMPORARY TABLE touched_states ON COMMIT DROP AS
SELECT o.account, o.project_id, o.payment_id,
       coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS business_at
FROM core.operations o

-- name: touched_of_windows
-- Operations that the new windows wrote, in every state they ever had: the days and payments of all of these
-- states can have changed.
CREATE TEMPORARY TABLE touched_states ON COMMIT DROP AS
WITH touched AS (
    SELECT o.account, o.operation_id
    FROM new_windows n
    JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
)
SELECT o.account, o.project_id, o.payment_id,
       coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS business_at
FROM touched JOIN core.operations o USING (account, operation_id)
UNION ALL
SELECT v.account, v.project_id, v.payment_id,
       coalesce(v.operation_completed_at, v.operation_created_at, v.first_seen_at)
FROM touched JOIN core.operation_versions v USING (account, operation_id)

-- name: touched_of_projects
-- All operations of projects that are counted for another account now: their days and payments leave one, enter the other.
INSERT INTO touched_states
SELECT o.account, o.project_id, o.payment_id,
       coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at)
FROM changed_projects c
JOIN core.operations o ON o.account = c.account AND o.project_id = c.project_id

-- name: stale_days
-- Business days to build, each with its first moment and the first moment after it.
CREATE TEMPORARY TABLE stale_days ON COMMIT DROP AS
SELECT account, business_date,
       business_date::timestamp AT TIME ZONE zone AS starts_at,
       (business_date + 1)::timestamp AT TIME ZONE zone AS ends_at
FROM (
    SELECT DISTINCT account, (business_at AT TIME ZONE s.value)::date AS business_date, s.value AS zone
    FROM touched_states, core.settings s
    WHERE s.key = 'reporting_zone'
) AS days

-- name: stale_payments
-- Payments to build.
CREATE TEMPORARY TABLE stale_payments ON COMMIT DROP AS
SELECT DISTINCT account, coalesce(project_id, '(none)') AS project_id, payment_id
FROM touched_states
WHERE payment_id IS NOT NULL

-- name: analyze
-- Fresh temporary tables have no statistics; the small table that says what is counted may have old ones.
ANALYZE touched_states, stale_days, stale_payments, core.account_projects

-- name: forget_projects
-- For a full build: which projects each account sees is found anew.
DELETE FROM core.account_projects

-- name: see_projects
-- Projects of the new windows' states, current and former, and of all reports of fraud, which are few.
INSERT INTO core.account_projects (account, project_id, first_committed_at)
SELECT account, project_id, min(committed_at)
FROM (
    SELECT n.account, o.project_id, n.committed_at
    FROM new_windows n JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
    UNION
    SELECT n.account, v.project_id, n.committed_at
    FROM new_windows n JOIN core.operation_versions v ON v.window_id = n.window_id AND v.account = n.account
    UNION
    SELECT f.account, f.project_id, w.committed_at
    FROM core.fraud_reports f JOIN sync.windows w USING (window_id)
    UNION
    SELECT v.account, v.project_id, w.committed_at
    FROM core.fraud_report_versions v JOIN sync.windows w USING (window_id)
) AS met
WHERE project_id IS NOT NULL
GROUP BY account, project_id
ON CONFLICT (account, project_id) DO UPDATE SET first_committed_at = excluded.first_committed_at
WHERE excluded.first_committed_at < core.account_projects.first_committed_at

-- name: forget_owners
DELETE FROM core.project_owners o
WHERE NOT EXISTS (
    SELECT FROM unnest(CAST(:projects AS text[]), CAST(:accounts AS text[])) AS named (project_id, account)
    WHERE named.project_id = o.project_id AND named.account = o.account)

-- name: name_owners
INSERT INTO core.project_owners (project_id, account)
SELECT project_id, account
FROM unnest(CAST(:projects AS text[]), CAST(:accounts AS text[])) AS named (project_id, account)
ON CONFLICT DO NOTHING

-- name: changed_projects
-- Projects whose account in the marts is another now: the owner that the settings name, if its token has shown the
-- project, else the account whose first window with it was committed first.
CREATE TEMPORARY TABLE changed_projects ON COMMIT DROP AS
SELECT account, project_id, account = owner AS is_counted
FROM (
    SELECT p.account, p.project_id, p.is_counted,
           first_value(p.account) OVER (
               PARTITION BY p.project_id
               ORDER BY o.account IS NULL, p.first_committed_at, p.account) AS owner
    FROM core.account_projects p
    LEFT JOIN core.project_owners o ON o.account = p.account AND o.project_id = p.project_id
) AS decided
WHERE is_counted <> (account = owner)

-- name: count_projects
UPDATE core.account_projects p SET is_counted = c.is_counted
FROM changed_projects c
WHERE c.account = p.account AND c.project_id = p.project_id
RETURNING p.account, p.project_id

-- name: empty
-- For a full build: readers wait until it is committed.
TRUNCATE bi.daily_overview, bi.approval_by_method_daily, bi.decline_reasons_daily, bi.fct_payments, bi.fct_retries,
    bi.fct_refunds, bi.fct_balances_daily, bi.dim_date, bi.dim_project, bi.dim_operation_status

-- name: drop_daily_overview
DELETE FROM bi.daily_overview d USING stale_days s WHERE d.account = s.account AND d.business_date = s.business_date

-- name: drop_payments
DELETE FROM bi.fct_payments f USING stale_payments s
WHERE f.account = s.account AND f.project_id = s.project_id AND f.payment_id = s.payment_id

-- name: drop_approval_by_method
DELETE FROM bi.approval_by_method_daily d USING stale_days s WHERE d.account = s.account AND d.business_date = s.business_date

-- name: drop_decline_reasons
DELETE FROM bi.decline_reasons_daily d USING stale_days s WHERE d.account = s.account AND d.business_date = s.business_date

-- name: drop_retries
DELETE FROM bi.fct_retries f USING stale_payments s
WHERE f.account = s.account AND f.project_id = s.project_id AND f.payment_id = s.payment_id

-- name: drop_refunds
DELETE FROM bi.fct_refunds f USING stale_payments s
WHERE f.account = s.account AND f.project_id = s.project_id AND f.payment_id = s.payment_id

-- name: drop_balances_daily
DELETE FROM bi.fct_balances_daily

-- name: put_daily_overview
INSERT INTO bi.daily_overview
    (account, business_date, project_id, currency, operation_type, operation_status, operations, amount_minor, amount)
SELECT account, business_date, project_id, currency, operation_type, operation_status, operations, amount_minor, amount
FROM new_daily_overview

-- name: put_payments
INSERT INTO bi.fct_payments (
    account, project_id, payment_id, currency, payment_status, operations, authorised_minor, authorised,
    captured_minor, captured, sold_minor, sold, refunded_minor, refunded, reversed_minor, reversed, paid_out_minor,
    paid_out, net_minor, net, is_pending, first_operation_at, first_operation_date, last_operation_at,
    last_operation_date, first_approved_at)
SELECT
    account, project_id, payment_id, currency, payment_status, operations, authorised_minor, authorised,
    captured_minor, captured, sold_minor, sold, refunded_minor, refunded, reversed_minor, reversed, paid_out_minor,
    paid_out, net_minor, net, is_pending, first_operation_at, first_operation_date, last_operation_at,
    last_operation_date, first_approved_at
FROM new_payments

-- name: put_approval_by_method
INSERT INTO bi.approval_by_method_daily (
    account, business_date, project_id, currency, operation_type, payment_method_type, country_by_bin, bin,
    attempts, approved, declined, failed, attempted_minor, attempted, approved_minor, approved_amount)
SELECT
    account, business_date, project_id, currency, operation_type, payment_method_type, country_by_bin, bin,
    attempts, approved, declined, failed, attempted_minor, attempted, approved_minor, approved_amount
FROM new_approval_by_method

-- name: put_decline_reasons
INSERT INTO bi.decline_reasons_daily (
    account, business_date, project_id, currency, operation_type, operation_status, payment_method_type,
    payment_provider_code, payment_provider_message, operations, amount_minor, amount)
SELECT
    account, business_date, project_id, currency, operation_type, operation_status, payment_method_type,
    payment_provider_code, payment_provider_message, operations, amount_minor, amount
FROM new_decline_reasons

-- name: put_retries
INSERT INTO bi.fct_retries (
    account, project_id, payment_id, currency, first_failed_at, first_failed_date, first_failed_status,
    payment_provider_code, payment_provider_message, retries, outcome, last_attempt_at, approved_at,
    minutes_to_approval, amount_minor, amount)
SELECT
    account, project_id, payment_id, currency, first_failed_at, first_failed_date, first_failed_status,
    payment_provider_code, payment_provider_message, retries, outcome, last_attempt_at, approved_at,
    minutes_to_approval, amount_minor, amount
FROM new_retries

-- name: put_refunds
INSERT INTO bi.fct_refunds (
    account, operation_id, project_id, payment_id, operation_type, currency, amount_minor, amount, refunded_at,
    refunded_date, sold_at, sold_date, days_to_refund, hours_to_refund)
SELECT
    account, operation_id, project_id, payment_id, operation_type, currency, amount_minor, amount, refunded_at,
    refunded_date, sold_at, sold_date, days_to_refund, hours_to_refund
FROM new_refunds

-- name: put_balances_daily
INSERT INTO bi.fct_balances_daily (
    account, business_date, balance_name, currency, opening_minor, opening, closing_minor, closing, lowest_minor,
    highest_minor, lowest, highest, snapshots, first_captured_at, last_captured_at)
SELECT
    account, business_date, balance_name, currency, opening_minor, opening, closing_minor, closing, lowest_minor,
    highest_minor, lowest, highest, snapshots, first_captured_at, last_captured_at
FROM new_balances_daily

-- name: forget_strays
-- Pairs that no figure has any more and that the product does not know of itself.
DELETE FROM bi.dim_operation_status d
WHERE NOT (d.operation_type IN (SELECT operation_type FROM core.operation_types)
           AND d.operation_status IN (SELECT operation_status FROM core.operation_statuses))
  AND NOT EXISTS (
    SELECT 1 FROM bi.daily_overview o
    WHERE o.operation_type = d.operation_type AND o.operation_status = d.operation_status)

-- name: due
INSERT INTO sync.due (account, stream, schedule, next_run_at) VALUES (:account, :stream, :schedule, :next_run_at)
ON CONFLICT (account, stream) DO UPDATE SET schedule = excluded.schedule, next_run_at = excluded.next_run_at

-- name: currency_in_grain
-- Amounts whose currency is not beside them; and tables with amounts whose key lacks the currency, unless their key is
-- a single operation or report, whose amounts have one currency each.
WITH amount AS (
    SELECT c.oid, c.relname, c.relkind, a.attname
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'bi'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
      AND (a.attname ~ '_minor$' OR a.atttypid = 'numeric'::regtype AND a.attname !~ '(_rate|_share|_unit|_in_usd)$')
)
SELECT format('bi.%s.%s: no column currency beside it', relname, attname) AS offence
FROM amount
WHERE NOT EXISTS (
    SELECT 1 FROM pg_attribute a WHERE a.attrelid = amount.oid AND NOT a.attisdropped
      AND a.attname = CASE WHEN amount.attname ~ '^converted' THEN 'converted_currency' ELSE 'currency' END)
UNION ALL
SELECT format('bi.%s: its key lacks the currency', relname)
FROM amount
WHERE relkind IN ('r', 'p') AND NOT EXISTS (
    SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = amount.oid AND i.indisprimary AND a.attname IN ('currency', 'operation_id', 'report_key'))
GROUP BY relname
ORDER BY 1

-- name: marts_equal_core
-- Count and Σ minor units by currency, type and status: daily_overview against the core itself without what is counted
-- for another account (core.account_projects), of accounts whose every ledger entry the marts have taken in (a load may have landed since).
SELECT account, currency, operation_type, operation_status,
       core.operations AS operations_in_core, mart.operations AS operations_in_mart,
       core.minor AS minor_in_core, mart.minor AS minor_in_mart
FROM (
    SELECT o.account, coalesce(o.sum_initial_currency, '(none)') AS currency,
           coalesce(o.operation_type, '(none)') AS operation_type,
           coalesce(o.operation_status, '(none)') AS operation_status,
           count(*) AS operations, sum(o.sum_initial_amount) AS minor
    FROM core.operations o
    WHERE NOT EXISTS (
        SELECT FROM core.account_projects p
        WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted)
    GROUP BY 1, 2, 3, 4
) AS core
FULL JOIN (
    SELECT account, currency, operation_type, operation_status, sum(operations) AS operations, sum(amount_minor) AS minor
    FROM bi.daily_overview
    GROUP BY 1, 2, 3, 4
) AS mart USING (account, currency, operation_type, operation_status)
WHERE (core.operations, core.minor) IS DISTINCT FROM (mart.operations, mart.minor)
  AND NOT EXISTS (
    SELECT 1 FROM sync.windows w
    LEFT JOIN sync.mart_refreshes m ON m.account = w.account AND m.mart_group = 'operations'
    WHERE w.account = coalesce(core.account, mart.account) AND w.entry_no > coalesce(m.entry_no, 0))
ORDER BY 1, 2, 3, 4

-- name: shared_projects
-- Projects that the tokens of several accounts have shown: the operations of each, and how many of them the account
-- for which the marts count the project does not hold. is_counted is NULL while the marts were not built since.
WITH of_account AS (
    SELECT account, project_id, count(*) AS operations
    FROM core.operations
    WHERE project_id IS NOT NULL
    GROUP BY account, project_id
), seen AS (
    SELECT account, project_id, coalesce(c.operations, 0) AS operations, p.is_counted,
           count(*) OVER (PARTITION BY project_id) AS accounts
    FROM of_account c
    FULL JOIN core.account_projects p USING (account, project_id)
)
SELECT s.project_id, s.account, s.operations, s.is_counted,
       CASE WHEN s.is_counted THEN 0 ELSE (
           SELECT count(*)
           FROM core.operations o
           JOIN seen owner ON owner.project_id = o.project_id AND owner.is_counted
           WHERE o.account = s.account AND o.project_id = s.project_id
             AND NOT EXISTS (
                 SELECT FROM core.operations c
                 WHERE c.account = owner.account AND c.operation_id = o.operation_id)
       ) END AS only_here
FROM seen s
WHERE s.accounts > 1
ORDER BY s.project_id, s.is_counted DESC NULLS LAST, s.account

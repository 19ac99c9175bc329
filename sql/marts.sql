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

-- name: plan_for_all_rows
-- Of a full build's transaction: hash joins, which the planner thinks dearer than they are where a key has many columns of
-- text; memory for them, of which a server that allows more keeps that; and several processes for reading the core.
SELECT set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')) / 1024, 262144) || 'kB', true),
       set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('parallel_tuple_cost', '0.01', true)

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

-- name: forget_projects
-- For a full build: which projects each account sees is found anew.
DELETE FROM core.account_projects

-- name: new_project_states
-- Projects and their names in the new windows' states of operations, current and former.
CREATE TEMPORARY TABLE new_project_states ON COMMIT DROP AS
SELECT o.account, o.project_id, o.project_name, min(n.committed_at) AS first_committed_at, max(o.observed_at) AS observed_at
FROM new_windows n JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
GROUP BY 1, 2, 3
UNION ALL
SELECT v.account, v.project_id, v.project_name, min(n.committed_at), max(v.observed_at)
FROM new_windows n JOIN core.operation_versions v ON v.window_id = n.window_id AND v.account = n.account
GROUP BY 1, 2, 3

-- name: see_projects
-- Projects of these states, and of all reports of fraud, which are few.
INSERT INTO core.account_projects (account, project_id, first_committed_at)
SELECT account, project_id, min(committed_at)
FROM (
    SELECT account, project_id, first_committed_at AS committed_at FROM new_project_states
    UNION ALL
    SELECT f.account, f.project_id, w.committed_at
    FROM core.fraud_reports f JOIN sync.windows w USING (window_id)
    UNION ALL
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

-- name: touched_of_windows
-- Operations that the new windows wrote, in every state they ever had: the days and payments of all of these
-- states can have changed.
CREATE TEMPORARY TABLE touched_states ON COMMIT DROP AS
WITH touched AS (
    SELECT o.account, o.operation_id
    FROM new_windows n
    JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
)
SELECT o.account, o.project_id, o.payment_id, core.business_at(o) AS business_at
FROM touched JOIN core.operations o USING (account, operation_id)
UNION ALL
SELECT v.account, v.project_id, v.payment_id, core.business_at(v)
FROM touched JOIN core.operation_versions v USING (account, operation_id)

-- name: touched_of_projects
-- All operations of projects that are counted for another account now: their days and payments leave one, enter the other.
INSERT INTO touched_states
SELECT o.account, o.project_id, o.payment_id, core.business_at(o)
FROM changed_projects c
JOIN core.operations o ON o.account = c.account AND o.project_id = c.project_id

-- name: stale_days
-- Business days to build.
CREATE TEMPORARY TABLE stale_days ON COMMIT DROP AS
SELECT DISTINCT account, (business_at AT TIME ZONE s.value)::date AS business_date
FROM touched_states, core.settings s
WHERE s.key = 'reporting_zone'

-- name: stale_payments
-- Payments to build.
CREATE TEMPORARY TABLE stale_payments ON COMMIT DROP AS
SELECT DISTINCT account, coalesce(project_id, '(none)') AS project_id, payment_id
FROM touched_states
WHERE payment_id IS NOT NULL

-- name: no_stale_days
-- For a full build, which reads all operations and then knows their days.
CREATE TEMPORARY TABLE stale_days (account text, business_date date) ON COMMIT DROP

-- name: no_stale_payments
CREATE TEMPORARY TABLE stale_payments (account text, project_id text, payment_id text) ON COMMIT DROP

-- name: analyze_stale
-- Fresh temporary tables have no statistics; the small table that says what is counted may have old ones.
ANALYZE stale_days, stale_payments, core.account_projects

-- name: stale_operations
-- What the marts need of each operation of the stale days and payments; one that is of both is there twice, but in a full
-- build, which reads all operations once. OFFSET 0 keeps the planner from holding every operation against every day.
CREATE TEMPORARY TABLE stale_operations ON COMMIT DROP AS
SELECT o.of_day, o.of_payment, o.account, o.operation_id, coalesce(o.project_id, '(none)') AS project_id, o.payment_id,
       coalesce(o.sum_initial_currency, '(none)') AS currency,
       coalesce(o.operation_type, '(none)') AS operation_type,
       coalesce(o.operation_status, '(none)') AS operation_status,
       coalesce(s.is_success, false) AS is_success, coalesce(s.is_final, false) AS is_final, coalesce(t.sign, 0) AS sign,
       o.sum_initial_amount AS amount_minor, c.smallest_unit,
       coalesce(o.operation_created_at, o.operation_completed_at, o.first_seen_at) AS begun_at,
       moment.business_at, moment.business_date,
       left(coalesce(o.payment_method_type, '(none)'), 64) AS payment_method_type,
       left(coalesce(o.country_by_bin, '(none)'), 64) AS country_by_bin,
       left(coalesce(o.bin, '(none)'), 64) AS bin,
       o.payment_provider_code, o.payment_provider_message
FROM (
    SELECT o.*, true AS of_day, o.payment_id IS NOT NULL AS of_payment
    FROM core.operations o
    WHERE CAST(:is_full AS boolean)
    UNION ALL
    SELECT o.*, true, false
    FROM (
        SELECT account, core.business_day_starts_at(business_date) AS starts_at,
               core.business_day_starts_at(business_date + 1) AS ends_at
        FROM stale_days
        WHERE NOT CAST(:is_full AS boolean)
    ) AS d
    CROSS JOIN LATERAL (
        SELECT * FROM core.operations o
        WHERE o.account = d.account AND core.business_at(o) >= d.starts_at AND core.business_at(o) < d.ends_at
        OFFSET 0
    ) AS o
    UNION ALL
    SELECT o.*, false, true
    FROM stale_payments p
    JOIN core.operations o ON o.account = p.account AND o.payment_id = p.payment_id
        AND coalesce(o.project_id, '(none)') = p.project_id
    WHERE NOT CAST(:is_full AS boolean)
) AS o
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
CROSS JOIN LATERAL (
    SELECT business_at, (business_at AT TIME ZONE zone)::date AS business_date
    FROM (SELECT coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS business_at) AS decided
) AS moment
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.currencies c ON c.currency = o.sum_initial_currency
    AND c.valid_from <= moment.business_date AND (c.valid_to IS NULL OR c.valid_to > moment.business_date)
WHERE NOT EXISTS (
    SELECT FROM core.account_projects p
    WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted)

-- name: analyze_stale_operations
ANALYZE stale_operations

-- name: new_daily_overview
-- The rows of the stale days, with the columns of their mart in their order; likewise below.
CREATE TEMPORARY TABLE new_daily_overview ON COMMIT DROP AS
SELECT account, business_date, project_id, currency, operation_type, operation_status, operations, amount_minor,
       amount_minor * smallest_unit AS amount
FROM (
    SELECT account, business_date, project_id, currency, operation_type, operation_status,
           count(*) AS operations, sum(amount_minor) AS amount_minor, min(smallest_unit) AS smallest_unit
    FROM stale_operations
    WHERE of_day
    GROUP BY 1, 2, 3, 4, 5, 6
) AS summed

-- name: new_approval_by_method
-- Attempts that came to an end. A text of the platform is cut, so that a key can hold it.
CREATE TEMPORARY TABLE new_approval_by_method ON COMMIT DROP AS
SELECT account, business_date, project_id, currency, operation_type, payment_method_type, country_by_bin, bin, attempts,
       approved, declined, failed, attempted_minor, attempted_minor * smallest_unit AS attempted,
       approved_minor, approved_minor * smallest_unit AS approved_amount
FROM (
    SELECT account, business_date, project_id, currency, operation_type, payment_method_type, country_by_bin, bin,
           count(*) AS attempts, count(*) FILTER (WHERE operation_status = 'success') AS approved,
           count(*) FILTER (WHERE operation_status = 'decline') AS declined,
           count(*) FILTER (WHERE operation_status = 'error') AS failed,
           coalesce(sum(amount_minor), 0) AS attempted_minor,
           coalesce(sum(amount_minor) FILTER (WHERE operation_status = 'success'), 0) AS approved_minor,
           min(smallest_unit) AS smallest_unit
    FROM stale_operations
    WHERE of_day AND operation_type IN ('sale', 'auth', 'recurring') AND operation_status IN ('success', 'decline', 'error')
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
) AS summed

-- name: new_decline_reasons
-- Attempts that were declined or failed, likewise.
CREATE TEMPORARY TABLE new_decline_reasons ON COMMIT DROP AS
SELECT account, business_date, project_id, currency, operation_type, operation_status, payment_method_type,
       payment_provider_code, payment_provider_message, operations, amount_minor, amount_minor * smallest_unit AS amount
FROM (
    SELECT account, business_date, project_id, currency, operation_type, operation_status, payment_method_type,
           left(coalesce(payment_provider_code, '(none)'), 64) AS payment_provider_code,
           left(coalesce(payment_provider_message, '(none)'), 200) AS payment_provider_message,
           count(*) AS operations, sum(amount_minor) AS amount_minor, min(smallest_unit) AS smallest_unit
    FROM stale_operations
    WHERE of_day AND operation_type IN ('sale', 'auth', 'recurring') AND operation_status IN ('decline', 'error')
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
) AS summed

-- name: new_payments
-- The stale payments from all of their operations. Each amount becomes major units on its own day, so that a change
-- of a currency's decimals in the middle of a payment adds up. In the order of their ids, in which they are put:
-- otherwise every row of a first build touches other pages of its indexes.
CREATE TEMPORARY TABLE new_payments ON COMMIT DROP AS
WITH payment AS (
    SELECT account, project_id, payment_id, currency, count(*) AS operations,
           coalesce(sum(amount_minor) FILTER (WHERE is_success AND operation_type = 'auth'), 0) AS authorised_minor,
           coalesce(sum(amount_minor) FILTER (WHERE is_success AND operation_type = 'capture'), 0) AS captured_minor,
           coalesce(sum(amount_minor) FILTER (WHERE is_success AND operation_type IN ('sale', 'recurring')), 0) AS sold_minor,
           coalesce(sum(amount_minor) FILTER (WHERE is_success AND operation_type = 'refund'), 0) AS refunded_minor,
           coalesce(sum(amount_minor) FILTER (WHERE is_success AND operation_type = 'reversal'), 0) AS reversed_minor,
           coalesce(sum(amount_minor) FILTER (WHERE is_success AND operation_type = 'payout'), 0) AS paid_out_minor,
           coalesce(sum(amount_minor) FILTER (WHERE is_success AND sign > 0), 0)
               - coalesce(sum(amount_minor) FILTER (WHERE is_success AND sign < 0), 0) AS net_minor,
           sum(amount_minor * smallest_unit) FILTER (WHERE is_success AND operation_type = 'auth') AS authorised,
           sum(amount_minor * smallest_unit) FILTER (WHERE is_success AND operation_type = 'capture') AS captured,
           sum(amount_minor * smallest_unit) FILTER (WHERE is_success AND operation_type IN ('sale', 'recurring')) AS sold,
           sum(amount_minor * smallest_unit) FILTER (WHERE is_success AND operation_type = 'refund') AS refunded,
           sum(amount_minor * smallest_unit) FILTER (WHERE is_success AND operation_type = 'reversal') AS reversed,
           sum(amount_minor * smallest_unit) FILTER (WHERE is_success AND operation_type = 'payout') AS paid_out,
           sum(amount_minor * smallest_unit * sign) FILTER (WHERE is_success) AS net,
           bool_or(is_success AND operation_type = 'cancel') AS is_cancelled,
           bool_or(is_success AND operation_type = 'account verification') AS is_verified,
           bool_or(NOT is_final) AS is_pending,
           bool_and(amount_minor IS NULL OR smallest_unit IS NOT NULL) AS has_major,
           min(begun_at) AS first_operation_at, max(business_at) AS last_operation_at,
           min(business_at) FILTER (WHERE is_success) AS first_approved_at
    FROM stale_operations
    WHERE of_payment
    GROUP BY payment_id, account, project_id, currency
)
SELECT account, project_id, payment_id, currency,
       CASE
           WHEN sold_minor + captured_minor > 0
                AND refunded_minor + reversed_minor >= sold_minor + captured_minor
               THEN 'refunded'
           WHEN refunded_minor + reversed_minor > 0 THEN 'partially refunded'
           WHEN sold_minor + captured_minor > 0 THEN 'paid'
           WHEN paid_out_minor > 0 THEN 'paid out'
           WHEN is_cancelled THEN 'cancelled'
           WHEN authorised_minor > 0 THEN 'authorised'
           WHEN is_pending THEN 'pending'
           WHEN is_verified THEN 'verified'
           WHEN first_approved_at IS NOT NULL THEN 'paid'
           ELSE 'declined'
       END AS payment_status,
       operations,
       authorised_minor, CASE WHEN has_major THEN coalesce(authorised, 0) END AS authorised,
       captured_minor, CASE WHEN has_major THEN coalesce(captured, 0) END AS captured,
       sold_minor, CASE WHEN has_major THEN coalesce(sold, 0) END AS sold,
       refunded_minor, CASE WHEN has_major THEN coalesce(refunded, 0) END AS refunded,
       reversed_minor, CASE WHEN has_major THEN coalesce(reversed, 0) END AS reversed,
       paid_out_minor, CASE WHEN has_major THEN coalesce(paid_out, 0) END AS paid_out,
       net_minor, CASE WHEN has_major THEN coalesce(net, 0) END AS net,
       is_pending, first_operation_at, (first_operation_at AT TIME ZONE zone)::date AS first_operation_date,
       last_operation_at, (last_operation_at AT TIME ZONE zone)::date AS last_operation_date, first_approved_at
FROM payment
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z
ORDER BY payment_id, account, project_id, currency

-- name: analyze_new_payments
-- Of what later statements join by only.
ANALYZE new_payments (account, project_id, payment_id, currency, operations)

-- name: new_retries
-- Of the stale payments those that were attempted again after an attempt that was declined or failed. Attempts follow
-- each other as they were begun; every attempt behind the first failed one is a retry. A payment of one operation, as most
-- are, has none.
CREATE TEMPORARY TABLE new_retries ON COMMIT DROP AS
WITH attempt AS (
    SELECT o.*, operation_status IN ('decline', 'error') AS is_failed,
           coalesce(bool_or(operation_status IN ('decline', 'error')) OVER before, false) AS is_retry
    FROM stale_operations o
    JOIN new_payments p USING (payment_id, account, project_id, currency)
    WHERE p.operations > 1 AND of_payment AND operation_type IN ('sale', 'auth', 'recurring')
    WINDOW before AS (
        PARTITION BY o.payment_id, o.account, o.project_id, o.currency ORDER BY begun_at, operation_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), failed AS (
    SELECT * FROM attempt WHERE is_failed AND NOT is_retry
), retried AS (
    SELECT payment_id, account, project_id, currency, count(*) AS retries,
           min(business_at) FILTER (WHERE is_success) AS approved_at, max(business_at) AS last_attempt_at,
           (array_agg(is_final ORDER BY begun_at DESC, operation_id DESC))[1] AS is_final,
           (array_agg(operation_status ORDER BY begun_at DESC, operation_id DESC))[1] AS last_status
    FROM attempt
    WHERE is_retry
    GROUP BY payment_id, account, project_id, currency
)
SELECT account, project_id, payment_id, currency, f.business_at AS first_failed_at, f.business_date AS first_failed_date,
       f.operation_status AS first_failed_status, f.payment_provider_code, f.payment_provider_message, r.retries,
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
       f.amount_minor, f.amount_minor * f.smallest_unit AS amount
FROM failed f JOIN retried r USING (payment_id, account, project_id, currency)

-- name: new_refunds
-- What of the stale payments was given back, each with its sale.
CREATE TEMPORARY TABLE new_refunds ON COMMIT DROP AS
WITH refund AS (
    SELECT * FROM stale_operations WHERE of_payment AND is_success AND operation_type IN ('refund', 'reversal')
), sale AS (
    SELECT r.account, r.operation_id, max(s.business_at) AS sold_at
    FROM refund r
    JOIN stale_operations s USING (payment_id, account, project_id, currency)
    WHERE s.of_payment AND s.is_success AND s.operation_type IN ('sale', 'capture', 'recurring')
      AND s.business_at <= r.business_at
    GROUP BY 1, 2
)
SELECT account, operation_id, project_id, payment_id, operation_type, currency, amount_minor,
       amount_minor * smallest_unit AS amount, business_at AS refunded_at, business_date AS refunded_date,
       sold_at, (sold_at AT TIME ZONE zone)::date AS sold_date,
       business_date - (sold_at AT TIME ZONE zone)::date AS days_to_refund,
       floor(extract(epoch FROM business_at - sold_at) / 3600)::bigint AS hours_to_refund
FROM refund
LEFT JOIN sale USING (account, operation_id)
CROSS JOIN (SELECT value AS zone FROM core.settings WHERE key = 'reporting_zone') AS z

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
           (array_agg(minor ORDER BY captured_at))[1] AS opening_minor,
           (array_agg(minor ORDER BY captured_at DESC))[1] AS closing_minor,
           min(minor) AS lowest_minor, max(minor) AS highest_minor,
           count(*) AS snapshots, min(captured_at) AS first_captured_at, max(captured_at) AS last_captured_at
    FROM moment
    GROUP BY 1, 2, 3, 4
)
SELECT d.account, d.business_date, d.balance_name, d.currency, opening_minor, opening_minor * c.smallest_unit AS opening,
       closing_minor, closing_minor * c.smallest_unit AS closing, lowest_minor, highest_minor,
       lowest_minor * c.smallest_unit AS lowest, highest_minor * c.smallest_unit AS highest,
       snapshots, first_captured_at, last_captured_at
FROM day d
LEFT JOIN core.currencies c ON c.currency = d.currency
    AND c.valid_from <= d.business_date AND (c.valid_to IS NULL OR c.valid_to > d.business_date)

-- name: new_dates
-- Every day of the years that the facts are in, to the end of next year; a stray date in a far year brings its year
-- only.
CREATE TEMPORARY TABLE new_dates ON COMMIT DROP AS
SELECT day AS business_date, extract(isoyear FROM day)::integer AS iso_year, extract(week FROM day)::integer AS iso_week,
       extract(isodow FROM day)::integer AS iso_weekday, date_trunc('week', day)::date AS week_start_date,
       extract(year FROM day)::integer AS calendar_year, extract(quarter FROM day)::integer AS calendar_quarter,
       extract(month FROM day)::integer AS calendar_month, date_trunc('month', day)::date AS month_start_date,
       month_end AS month_end_date, day = month_end AS is_month_end, extract(isodow FROM day) > 5 AS is_weekend,
       extract(year FROM fiscal_start + interval '1 year' - interval '1 day')::integer AS fiscal_year,
       (fiscal_month - 1) / 3 + 1 AS fiscal_quarter, fiscal_month, fiscal_start AS fiscal_year_start_date
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
            SELECT DISTINCT extract(year FROM business_date)::integer AS year
            FROM (
                SELECT DISTINCT business_date FROM new_daily_overview
                UNION ALL SELECT DISTINCT business_date FROM new_balances_daily
                UNION ALL
                SELECT unnest(ARRAY[first_operation_date, last_operation_date])
                FROM (SELECT DISTINCT first_operation_date, last_operation_date FROM new_payments) AS pairs
            ) AS dates
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

-- name: new_projects
-- Projects of the new states, and in a build that continues those known before; a name counts from the last time it was
-- observed.
CREATE TEMPORARY TABLE new_projects ON COMMIT DROP AS
SELECT DISTINCT ON (account, project_id) account, project_id, project_name,
       CASE WHEN project_name IS NOT NULL THEN observed_at END AS name_observed_at
FROM (
    SELECT account, coalesce(project_id, '(none)') AS project_id, project_name, observed_at FROM new_project_states
    UNION ALL
    SELECT account, project_id, project_name, name_observed_at FROM bi.dim_project WHERE NOT CAST(:is_full AS boolean)
) AS met
ORDER BY account, project_id, project_name IS NULL, observed_at DESC, project_name DESC

-- name: new_operation_status
-- Every pair of known type and status, and every other pair met.
CREATE TEMPORARY TABLE new_operation_status ON COMMIT DROP AS
SELECT pair.operation_type, pair.operation_status, coalesce(s.is_final, false) AS is_final,
       coalesce(s.is_success, false) AS is_success, coalesce(t.is_money, false) AS is_money,
       CASE WHEN s.is_success THEN coalesce(t.sign, 0) ELSE 0 END::smallint AS sign
FROM (
    SELECT operation_type, operation_status FROM core.operation_types, core.operation_statuses
    UNION SELECT operation_type, operation_status FROM new_daily_overview
) AS pair
LEFT JOIN core.operation_types t USING (operation_type)
LEFT JOIN core.operation_statuses s USING (operation_status)

-- name: analyze_new
ANALYZE new_daily_overview (account, business_date, project_id, currency, operation_type, operation_status),
    new_approval_by_method (account, business_date, project_id, currency, operation_type, payment_method_type, country_by_bin, bin),
    new_decline_reasons (account, business_date, project_id, currency, operation_type, operation_status, payment_method_type,
                         payment_provider_code, payment_provider_message),
    new_retries (account, project_id, payment_id, currency), new_refunds (account, operation_id)

-- name: all_days
-- For a full build: every day of the core, and every day that the marts hold, rightly or not.
INSERT INTO stale_days
SELECT account, business_date FROM new_daily_overview
UNION SELECT account, business_date FROM bi.daily_overview
UNION SELECT account, business_date FROM bi.approval_by_method_daily
UNION SELECT account, business_date FROM bi.decline_reasons_daily

-- name: put_dates
-- Rows of dimensions, which facts refer to, are changed in place; *= compares whole rows to the byte. A day stays when no
-- fact is of its year any more.
INSERT INTO bi.dim_date
SELECT * FROM new_dates n
WHERE NOT EXISTS (SELECT FROM bi.dim_date d WHERE d.business_date = n.business_date AND d *= n)
ON CONFLICT (business_date) DO UPDATE SET
    (iso_year, iso_week, iso_weekday, week_start_date, calendar_year, calendar_quarter, calendar_month, month_start_date,
     month_end_date, is_month_end, is_weekend, fiscal_year, fiscal_quarter, fiscal_month, fiscal_year_start_date)
    = (excluded.iso_year, excluded.iso_week, excluded.iso_weekday, excluded.week_start_date, excluded.calendar_year,
       excluded.calendar_quarter, excluded.calendar_month, excluded.month_start_date, excluded.month_end_date,
       excluded.is_month_end, excluded.is_weekend, excluded.fiscal_year, excluded.fiscal_quarter, excluded.fiscal_month,
       excluded.fiscal_year_start_date)

-- name: put_projects
INSERT INTO bi.dim_project
SELECT * FROM new_projects n
WHERE NOT EXISTS (
    SELECT FROM bi.dim_project d WHERE d.account = n.account AND d.project_id = n.project_id AND d *= n)
ON CONFLICT (account, project_id) DO UPDATE
SET (project_name, name_observed_at) = (excluded.project_name, excluded.name_observed_at)

-- name: put_operation_status
INSERT INTO bi.dim_operation_status
SELECT * FROM new_operation_status n
WHERE NOT EXISTS (
    SELECT FROM bi.dim_operation_status d
    WHERE d.operation_type = n.operation_type AND d.operation_status = n.operation_status AND d *= n)
ON CONFLICT (operation_type, operation_status) DO UPDATE
SET (is_final, is_success, is_money, sign) = (excluded.is_final, excluded.is_success, excluded.is_money, excluded.sign)

-- name: drop_daily_overview
-- Stale rows that no new row equals; a row that has not changed is not touched, nor is it locked for its readers.
DELETE FROM bi.daily_overview d USING stale_days s
WHERE d.account = s.account AND d.business_date = s.business_date
  AND NOT EXISTS (
    SELECT FROM new_daily_overview n
    WHERE n.account = d.account AND n.business_date = d.business_date AND n.project_id = d.project_id
      AND n.currency = d.currency AND n.operation_type = d.operation_type AND n.operation_status = d.operation_status
      AND n *= d)

-- name: drop_approval_by_method
DELETE FROM bi.approval_by_method_daily d USING stale_days s
WHERE d.account = s.account AND d.business_date = s.business_date
  AND NOT EXISTS (
    SELECT FROM new_approval_by_method n
    WHERE n.account = d.account AND n.business_date = d.business_date AND n.project_id = d.project_id
      AND n.currency = d.currency AND n.operation_type = d.operation_type
      AND n.payment_method_type = d.payment_method_type AND n.country_by_bin = d.country_by_bin AND n.bin = d.bin
      AND n *= d)

-- name: drop_decline_reasons
DELETE FROM bi.decline_reasons_daily d USING stale_days s
WHERE d.account = s.account AND d.business_date = s.business_date
  AND NOT EXISTS (
    SELECT FROM new_decline_reasons n
    WHERE n.account = d.account AND n.business_date = d.business_date AND n.project_id = d.project_id
      AND n.currency = d.currency AND n.operation_type = d.operation_type AND n.operation_status = d.operation_status
      AND n.payment_method_type = d.payment_method_type AND n.payment_provider_code = d.payment_provider_code
      AND n.payment_provider_message = d.payment_provider_message
      AND n *= d)

-- name: drop_payments
DELETE FROM bi.fct_payments f USING stale_payments s
WHERE f.account = s.account AND f.project_id = s.project_id AND f.payment_id = s.payment_id
  AND NOT EXISTS (
    SELECT FROM new_payments n
    WHERE n.account = f.account AND n.project_id = f.project_id AND n.payment_id = f.payment_id AND n.currency = f.currency
      AND n *= f)

-- name: drop_any_payments
-- For a full build: whatever payments the rows are of.
DELETE FROM bi.fct_payments f
WHERE NOT EXISTS (
    SELECT FROM new_payments n
    WHERE n.account = f.account AND n.project_id = f.project_id AND n.payment_id = f.payment_id AND n.currency = f.currency
      AND n *= f)

-- name: drop_retries
DELETE FROM bi.fct_retries f USING stale_payments s
WHERE f.account = s.account AND f.project_id = s.project_id AND f.payment_id = s.payment_id
  AND NOT EXISTS (
    SELECT FROM new_retries n
    WHERE n.account = f.account AND n.project_id = f.project_id AND n.payment_id = f.payment_id AND n.currency = f.currency
      AND n *= f)

-- name: drop_any_retries
DELETE FROM bi.fct_retries f
WHERE NOT EXISTS (
    SELECT FROM new_retries n
    WHERE n.account = f.account AND n.project_id = f.project_id AND n.payment_id = f.payment_id AND n.currency = f.currency
      AND n *= f)

-- name: drop_refunds
DELETE FROM bi.fct_refunds f USING stale_payments s
WHERE f.account = s.account AND f.project_id = s.project_id AND f.payment_id = s.payment_id
  AND NOT EXISTS (
    SELECT FROM new_refunds n WHERE n.account = f.account AND n.operation_id = f.operation_id AND n *= f)

-- name: drop_any_refunds
DELETE FROM bi.fct_refunds f
WHERE NOT EXISTS (
    SELECT FROM new_refunds n WHERE n.account = f.account AND n.operation_id = f.operation_id AND n *= f)

-- name: drop_balances_daily
DELETE FROM bi.fct_balances_daily f
WHERE NOT EXISTS (
    SELECT FROM new_balances_daily n
    WHERE n.account = f.account AND n.business_date = f.business_date AND n.balance_name = f.balance_name
      AND n.currency = f.currency AND n *= f)

-- name: put_daily_overview
-- New rows that are not there yet: whatever is left of the stale days equals a new row. In the order of the key, which is
-- faster to put and keeps a day's rows together.
INSERT INTO bi.daily_overview
SELECT * FROM new_daily_overview
EXCEPT SELECT d.* FROM bi.daily_overview d JOIN stale_days USING (account, business_date)
ORDER BY account, business_date, project_id, currency, operation_type, operation_status

-- name: put_approval_by_method
INSERT INTO bi.approval_by_method_daily
SELECT * FROM new_approval_by_method
EXCEPT SELECT d.* FROM bi.approval_by_method_daily d JOIN stale_days USING (account, business_date)
ORDER BY account, business_date, project_id, currency, operation_type, payment_method_type, country_by_bin, bin

-- name: put_decline_reasons
INSERT INTO bi.decline_reasons_daily
SELECT * FROM new_decline_reasons
EXCEPT SELECT d.* FROM bi.decline_reasons_daily d JOIN stale_days USING (account, business_date)
ORDER BY account, business_date, project_id, currency, operation_type, operation_status, payment_method_type,
         payment_provider_code, payment_provider_message

-- name: put_payments
-- In a full build every row that is left equals a new one: where there are as many, none is missing, and none is looked for.
INSERT INTO bi.fct_payments
SELECT * FROM new_payments n
WHERE NOT (CAST(:is_full AS boolean) AND (SELECT count(*) FROM new_payments) = (SELECT count(*) FROM bi.fct_payments))
  AND NOT EXISTS (
    SELECT FROM bi.fct_payments f
    WHERE n.account = f.account AND n.project_id = f.project_id AND n.payment_id = f.payment_id AND n.currency = f.currency)

-- name: put_retries
INSERT INTO bi.fct_retries
SELECT * FROM new_retries n
WHERE NOT EXISTS (
    SELECT FROM bi.fct_retries f
    WHERE n.account = f.account AND n.project_id = f.project_id AND n.payment_id = f.payment_id AND n.currency = f.currency)

-- name: put_refunds
INSERT INTO bi.fct_refunds
SELECT * FROM new_refunds n
WHERE NOT EXISTS (SELECT FROM bi.fct_refunds f WHERE n.account = f.account AND n.operation_id = f.operation_id)
ORDER BY account, operation_id

-- name: put_balances_daily
INSERT INTO bi.fct_balances_daily
SELECT * FROM new_balances_daily n
WHERE NOT EXISTS (
    SELECT FROM bi.fct_balances_daily f
    WHERE n.account = f.account AND n.business_date = f.business_date AND n.balance_name = f.balance_name
      AND n.currency = f.currency)

-- name: forget_projects_not_seen
-- Only a full build finds any: one that continues knows all of them still.
DELETE FROM bi.dim_project d
WHERE NOT EXISTS (SELECT FROM new_projects n WHERE n.account = d.account AND n.project_id = d.project_id)

-- name: forget_strays
-- Pairs that no figure has any more and that the product does not know of itself.
DELETE FROM bi.dim_operation_status d
WHERE NOT (d.operation_type IN (SELECT operation_type FROM core.operation_types)
           AND d.operation_status IN (SELECT operation_status FROM core.operation_statuses))
  AND NOT EXISTS (
    SELECT 1 FROM bi.daily_overview o
    WHERE o.operation_type = d.operation_type AND o.operation_status = d.operation_status)

-- name: references
-- Those that a build has made, behind its rows: holding each row against its dimensions costs three times as much as putting it.
SELECT FROM pg_constraint WHERE connamespace = 'bi'::regnamespace AND contype = 'f'

-- name: due
INSERT INTO sync.due (account, stream, schedule, next_run_at) VALUES (:account, :stream, :schedule, :next_run_at)
ON CONFLICT (account, stream) DO UPDATE SET schedule = excluded.schedule, next_run_at = excluded.next_run_at

-- name: record
-- How far every account is; of an account without a new window only the time changes.
INSERT INTO sync.mart_refreshes
    (account, mart_group, entry_no, reference_fingerprint, refreshed_at, is_full, days, payments)
SELECT w.account, 'operations', max(w.entry_no), max(s.value), transaction_timestamp(), CAST(:is_full AS boolean),
       (SELECT count(*) FROM stale_days d WHERE d.account = w.account),
       (SELECT count(*) FROM stale_payments p WHERE p.account = w.account)
       + (SELECT count(*) FROM new_payments p WHERE p.account = w.account AND CAST(:is_full AS boolean))
FROM sync.windows w, core.settings s
WHERE s.key = 'reference_fingerprint'
GROUP BY w.account
ON CONFLICT (account, mart_group) DO UPDATE SET
    entry_no = excluded.entry_no, reference_fingerprint = excluded.reference_fingerprint,
    refreshed_at = excluded.refreshed_at, is_full = excluded.is_full, days = excluded.days,
    payments = excluded.payments

-- name: report
SELECT coalesce(sum(days), 0)::bigint AS days, coalesce(sum(payments), 0)::bigint AS payments,
       (SELECT count(*) FROM new_windows) AS windows, transaction_timestamp() AS refreshed_at
FROM sync.mart_refreshes
WHERE mart_group = 'operations' AND refreshed_at = transaction_timestamp()

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

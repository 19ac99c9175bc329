-- name: any_stored
-- Whether any of these reports of fraud is stored already, in whatever state. LIMIT keeps the planner from joining the
-- other way round: one look into the primary key for each, until the first is found.
SELECT EXISTS (
    SELECT FROM unnest(CAST(:keys AS text[])) AS met (key)
    CROSS JOIN LATERAL (
        SELECT FROM core.fraud_reports r
        WHERE r.account = :account AND r.report_key = met.key COLLATE "C"
        LIMIT 1
    ) AS stored
) AS found

-- name: copy_new
-- Rows of which none is stored: half the work of staging and merging them. An empty unquoted value is NULL.
-- The account is locked (load/lock_account); what arrived is held against what was sent by load/add_window.
COPY core.fraud_reports FROM STDIN (FORMAT csv, ENCODING 'UTF8')

-- name: stage
-- A private copy of the table's columns for the rows of one window; gone at commit.
CREATE TEMPORARY TABLE staging_fraud_reports (LIKE core.fraud_reports) ON COMMIT DROP

-- name: copy
-- CSV in the order of the columns of core.fraud_reports; an empty unquoted value is NULL.
COPY staging_fraud_reports FROM STDIN (FORMAT csv, ENCODING 'UTF8')

-- name: totals
-- Control totals of what PostgreSQL received, to hold against those of what was sent.
SELECT tr_ccy AS currency, fraud_type AS type, NULL AS status, count(*) AS row_count, sum(tr_amount_minor) AS minor
FROM staging_fraud_reports
GROUP BY 1, 2

-- name: retire
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

-- name: insert
-- Inserts what is new or was retired; an unchanged row is not touched at all (no lock, no WAL).
-- Rows affected: the new and the changed reports.
INSERT INTO core.fraud_reports SELECT * FROM staging_fraud_reports
ON CONFLICT (account, report_key) DO NOTHING

-- name: differences
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

-- name: unfounded
-- The other direction: stored states that name this window as their origin, though its signed pages do not hold them;
-- and states of what the window met whose times do not follow one another.
SELECT t.key, t.observed_at, 'stored, but not in the signed pages of its window' AS reason
FROM (
    SELECT report_key AS key, observed_at FROM core.fraud_reports WHERE account = :account AND window_id = :window_id
    UNION ALL
    SELECT report_key, observed_at FROM core.fraud_report_versions WHERE account = :account AND window_id = :window_id
) AS t
WHERE NOT EXISTS (
    SELECT FROM staging_fraud_reports s WHERE s.report_key = t.key AND s.observed_at = t.observed_at
)
UNION ALL
SELECT c.key, c.observed_at, 'stored with times that do not follow one another' AS reason
FROM (
    SELECT key, observed_at, first_seen_at, known_to,
           lead(observed_at) OVER (PARTITION BY key ORDER BY observed_at) AS next,
           min(observed_at) OVER (PARTITION BY key) AS first
    FROM (
        SELECT o.report_key AS key, o.observed_at, o.first_seen_at, NULL::timestamptz AS known_to
        FROM staging_fraud_reports s JOIN core.fraud_reports o USING (account, report_key)
        UNION ALL
        SELECT v.report_key, v.observed_at, v.first_seen_at, v.known_to
        FROM staging_fraud_reports s JOIN core.fraud_report_versions v USING (account, report_key)
    ) AS states
) AS c
WHERE c.known_to IS DISTINCT FROM c.next OR c.first_seen_at <> c.first
ORDER BY 1, 2

-- name: orphans
-- Stored states that name no complete window of this stream as their origin.
SELECT t.key, t.observed_at, 'stored, but from no window of the ledger' AS reason
FROM (
    SELECT report_key AS key, observed_at, window_id FROM core.fraud_reports WHERE account = :account
    UNION ALL
    SELECT report_key, observed_at, window_id FROM core.fraud_report_versions WHERE account = :account
) AS t
LEFT JOIN sync.windows w ON w.window_id = t.window_id AND w.account = :account AND w.stream = :stream
    AND w.verdict = 'complete'
WHERE w.window_id IS NULL
ORDER BY 1, 2

-- name: states
-- Every stored state of some rows, as text to compare before and after, and the window it came from.
SELECT o.report_key AS key, o.window_id, md5(o::text) AS state
FROM core.fraud_reports o WHERE o.account = :account AND o.report_key = ANY(:keys)
UNION ALL
SELECT v.report_key, v.window_id, md5(v::text)
FROM core.fraud_report_versions v WHERE v.account = :account AND v.report_key = ANY(:keys)

-- name: forget
-- Takes all states of some rows out of the store, to build them again in the same transaction.
WITH current AS (DELETE FROM core.fraud_reports WHERE account = :account AND report_key = ANY(:keys))
DELETE FROM core.fraud_report_versions WHERE account = :account AND report_key = ANY(:keys)

-- name: unstage
DROP TABLE staging_fraud_reports

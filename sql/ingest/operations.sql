-- name: any_stored
-- Whether any of these operations is stored already, in whatever state. LIMIT keeps the planner from joining the
-- other way round: one look into the primary key for each, until the first is found.
SELECT EXISTS (
    SELECT FROM unnest(CAST(:keys AS text[])) AS met (key)
    CROSS JOIN LATERAL (
        SELECT FROM core.operations o
        WHERE o.account = :account AND o.operation_id = met.key COLLATE "C"
        LIMIT 1
    ) AS stored
) AS found

-- name: copy_new
-- Rows of which none is stored: half the work of staging and merging them. An empty unquoted value is NULL.
-- The account is locked (load/lock_account); what arrived is held against what was sent by load/add_window.
COPY core.operations FROM STDIN (FORMAT csv, ENCODING 'UTF8')

-- name: stage
-- A private copy of the table's columns for the rows of one window; gone at commit.
CREATE TEMPORARY TABLE staging_operations (LIKE core.operations) ON COMMIT DROP

-- name: copy
-- CSV in the order of the columns of core.operations; an empty unquoted value is NULL.
COPY staging_operations FROM STDIN (FORMAT csv, ENCODING 'UTF8')

-- name: totals
-- Control totals of what PostgreSQL received, to hold against those of what was sent.
SELECT sum_initial_currency AS currency, operation_type AS type, operation_status AS status,
       count(*) AS row_count, sum(sum_initial_amount) AS minor
FROM staging_operations
GROUP BY 1, 2, 3

-- name: retire
-- A stored row that differs from a later observation leaves for core.operation_versions; the last observation
-- wins, so one that is not later than the stored row changes nothing. Rows affected: the changed operations.
-- What is then missing in core.operations is inserted by load/insert_operations.
WITH outdated AS (
    DELETE FROM core.operations o
    USING staging_operations s
    WHERE o.account = s.account AND o.operation_id = s.operation_id
      AND o.observed_at < s.observed_at
      AND (
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
    RETURNING o.*, s.observed_at AS known_to
), versioned AS (
    INSERT INTO core.operation_versions SELECT * FROM outdated
    RETURNING account, operation_id, first_seen_at
)
UPDATE staging_operations s SET first_seen_at = v.first_seen_at
FROM versioned v
WHERE v.account = s.account AND v.operation_id = s.operation_id

-- name: insert
-- Inserts what is new or was retired; an unchanged row is not touched at all (no lock, no WAL).
-- Rows affected: the new and the changed operations.
INSERT INTO core.operations SELECT * FROM staging_operations
ON CONFLICT (account, operation_id) DO NOTHING

-- name: differences
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

-- name: unfounded
-- The other direction: stored states that name this window as their origin, though its signed pages do not hold them;
-- and states of what the window met whose times do not follow one another.
SELECT t.key, t.observed_at, 'stored, but not in the signed pages of its window' AS reason
FROM (
    SELECT operation_id AS key, observed_at FROM core.operations WHERE account = :account AND window_id = :window_id
    UNION ALL
    SELECT operation_id, observed_at FROM core.operation_versions WHERE account = :account AND window_id = :window_id
) AS t
WHERE NOT EXISTS (
    SELECT FROM staging_operations s WHERE s.operation_id = t.key AND s.observed_at = t.observed_at
)
UNION ALL
SELECT c.key, c.observed_at, 'stored with times that do not follow one another' AS reason
FROM (
    SELECT key, observed_at, first_seen_at, known_to,
           lead(observed_at) OVER (PARTITION BY key ORDER BY observed_at) AS next,
           min(observed_at) OVER (PARTITION BY key) AS first
    FROM (
        SELECT o.operation_id AS key, o.observed_at, o.first_seen_at, NULL::timestamptz AS known_to
        FROM staging_operations s JOIN core.operations o USING (account, operation_id)
        UNION ALL
        SELECT v.operation_id, v.observed_at, v.first_seen_at, v.known_to
        FROM staging_operations s JOIN core.operation_versions v USING (account, operation_id)
    ) AS states
) AS c
WHERE c.known_to IS DISTINCT FROM c.next OR c.first_seen_at <> c.first
ORDER BY 1, 2

-- name: orphans
-- Stored states that name no complete window of this stream as their origin.
SELECT t.key, t.observed_at, 'stored, but from no window of the ledger' AS reason
FROM (
    SELECT operation_id AS key, observed_at, window_id FROM core.operations WHERE account = :account
    UNION ALL
    SELECT operation_id, observed_at, window_id FROM core.operation_versions WHERE account = :account
) AS t
LEFT JOIN sync.windows w ON w.window_id = t.window_id AND w.account = :account AND w.stream = :stream
    AND w.verdict = 'complete'
WHERE w.window_id IS NULL
ORDER BY 1, 2

-- name: states
-- Every stored state of some rows, as text to compare before and after, and the window it came from.
SELECT o.operation_id AS key, o.window_id, md5(o::text) AS state
FROM core.operations o WHERE o.account = :account AND o.operation_id = ANY(:keys)
UNION ALL
SELECT v.operation_id, v.window_id, md5(v::text)
FROM core.operation_versions v WHERE v.account = :account AND v.operation_id = ANY(:keys)

-- name: forget
-- Takes all states of some rows out of the store, to build them again in the same transaction.
WITH current AS (DELETE FROM core.operations WHERE account = :account AND operation_id = ANY(:keys))
DELETE FROM core.operation_versions WHERE account = :account AND operation_id = ANY(:keys)

-- name: unstage
DROP TABLE staging_operations

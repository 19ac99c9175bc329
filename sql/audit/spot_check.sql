-- name: add
INSERT INTO sync.spot_checks (account, run_id, payment_id, operation_id, field, outcome, stored, answered, asked_at)
VALUES (:account, :run_id, :payment_id, :operation_id, :field, :outcome, :stored, :answered, :asked_at)

-- name: size
-- About how many rows the table has; -1 until it is analysed for the first time.
SELECT reltuples::bigint AS row_count FROM pg_class WHERE oid = 'core.operations'::regclass

-- name: sample
-- Payments of the day's sample: the same for the same day and table. Of a large table, blocks are drawn first.
SELECT payment_id
FROM (
    SELECT DISTINCT payment_id
    FROM core.operations TABLESAMPLE SYSTEM (:percent) REPEATABLE (:seed)
    WHERE account = :account AND payment_id IS NOT NULL
) AS payments
ORDER BY sha256(convert_to(:day || ' ' || payment_id, 'UTF8')), payment_id
LIMIT :sample

-- name: stored
-- With the fields that the request named which brought each state; NULL: it named none, or its pages are deleted.
SELECT operation_id, operation_type, operation_created_at, operation_completed_at, sum_initial_amount,
       sum_initial_currency, sum_converted_amount, sum_converted_currency, arn, rrn,
       (SELECT p.request -> 'fields' FROM raw.pages p
        WHERE p.window_id = o.window_id AND p.account = o.account AND p.endpoint = 'operations/get'
        LIMIT 1) AS requested_fields
FROM core.operations o
WHERE account = :account AND payment_id = :payment_id
ORDER BY operation_id

-- name: covered
-- One row if every project's operations were walked and shown complete from that moment on, without a hole: what has
-- changed since lies in the time of its change.
WITH stretches AS (
    SELECT covered_from, covered_to FROM sync.coverage
    WHERE account = :account AND stream = 'operations' AND project_ids = '{}'
)
SELECT 1 FROM stretches
WHERE :moment BETWEEN covered_from AND covered_to AND covered_to = (SELECT max(covered_to) FROM stretches)

-- name: covered_to
-- The last second of all projects' operations that was walked and shown complete; NULL: none.
SELECT max(interval_to) AS covered_to FROM sync.windows
WHERE account = :account AND stream = 'operations' AND project_ids = '{}' AND verdict = 'complete'

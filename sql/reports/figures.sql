-- name: exponents
-- The decimals of each currency on the day.
SELECT currency, exponent
FROM core.currencies
WHERE valid_from <= :day AND (valid_to IS NULL OR valid_to > :day)
ORDER BY currency COLLATE "C"

-- name: balances
-- Each balance over the day, as the reconciliation rolled it forward; whether lag or a person explains what is left.
SELECT balance_name, currency, opening_minor, movements_minor, closing_minor, unexplained_minor,
       status = 'lag' OR EXISTS (
           SELECT FROM recon.breaks b
           WHERE b.account = r.account AND b.business_date = r.business_date AND b.break_type = 'balance'
             AND b.balance_name = r.balance_name AND b.currency = r.currency AND b.state = 'explained'
       ) AS is_explained
FROM recon.balance_rollforward r
WHERE account = :account AND business_date = :day
ORDER BY balance_name, currency

-- name: balance_history
-- The last snapshot of each balance on each business day.
SELECT DISTINCT ON (business_date, balance_name, currency, position)
       (captured_at AT TIME ZONE :zone)::date AS business_date, balance_name, currency, amount_minor
FROM core.balance_snapshots
WHERE account = :account
  AND captured_at >= CAST(:starts_at AS timestamptz)
  AND captured_at < CAST(:ends_at AS timestamptz)
ORDER BY business_date, balance_name, currency, position, captured_at DESC

-- name: breaks
-- Breaks of days up to this one that are still open, by type, age and currency.
SELECT break_type, age_bucket AS age, currency, count(*) AS count, sum(abs(amount_minor)) AS amount_minor
FROM recon.aged_breaks
WHERE account = :account AND business_date <= :day AND state = 'open'
GROUP BY break_type, age_bucket, currency
ORDER BY max(age_days) DESC, break_type, currency

-- name: largest_breaks
-- The open breaks to look at first, of all or of those found since the day ended: the largest of each currency, then
-- the second of each, and so on; amounts of two currencies are not compared. Of equal ones the oldest, then those without.
SELECT break_id::text AS break_id, break_type, state, business_date, age_bucket AS age, currency, amount_minor,
       operation_id, coalesce(entry_id, balance_name) AS reference, owner, coalesce(note, detail) AS note, due_date, is_overdue,
       opened_at >= core.business_day_starts_at(:day + 1) AS is_new
FROM recon.aged_breaks
WHERE account = :account AND business_date <= :day AND state = 'open'
  AND (NOT CAST(:only_new AS boolean) OR opened_at >= core.business_day_starts_at(:day + 1))
ORDER BY amount_minor IS NULL,
         row_number() OVER (PARTITION BY currency, amount_minor IS NULL ORDER BY abs(amount_minor) DESC, age_days DESC, break_id),
         currency COLLATE "C"
LIMIT :most

-- name: queue
-- Open breaks of days up to this one, by owner, those without one first.
SELECT owner, count(*) AS count,
       count(*) FILTER (WHERE opened_at >= core.business_day_starts_at(:day + 1)) AS new,
       count(*) FILTER (WHERE is_overdue) AS overdue, max(age_days) AS oldest_days
FROM recon.aged_breaks
WHERE account = :account AND business_date <= :day AND state = 'open'
GROUP BY owner
ORDER BY owner COLLATE "C" NULLS FIRST

-- name: matching
-- What the last reconciliation of the day with the books counted, and the closed days of its month so far.
SELECT CAST(figures ->> 'operations_required' AS bigint) AS operations,
       CAST(figures ->> 'operations_alone' AS bigint) AS operations_alone,
       (SELECT count(*) FROM recon.closed_days c
        WHERE c.account = :account AND c.business_date BETWEEN date_trunc('month', CAST(:day AS date)) AND :day) AS days_closed
FROM recon.runs
WHERE account = :account AND business_date = :day AND leg = 'books' AND CAST(figures ->> 'has_books' AS boolean)
ORDER BY run_no DESC
LIMIT 1

-- name: reconciled
-- Whether the merchant's books were held against the day, with entries to hold.
SELECT EXISTS (
    SELECT FROM recon.runs r
    WHERE r.account = :account AND r.business_date = :day AND r.leg = 'books'
) AND EXISTS (
    SELECT FROM recon.ledger_entries e
    WHERE e.account = :account
      AND e.booked_at >= core.business_day_starts_at(:day) AND e.booked_at < core.business_day_starts_at(:day + 1)
      AND NOT recon.is_withdrawn(e.status)
) AS reconciled

-- name: restatements
-- What became known of earlier days since the day began, the latest first. Of a closed day it is held against the
-- sealed figures; of another against what was known when the day began, where a load had been complete before:
-- what a first load brings is no restatement.
WITH of_closed_days AS (
    SELECT operation_id, kind, sealed_known_at AS known_from, restated_known_at AS known_to,
           status_before, status_after, coalesce(currency_after, currency_before) AS currency,
           minor_before AS amount_before, minor_after AS amount_after
    FROM recon.restatements
    WHERE account = :account AND business_date < :day
      AND restated_known_at > CAST(:known_from AS timestamptz) AND restated_known_at <= CAST(:known_to AS timestamptz)
), of_other_days AS (
    SELECT r.operation_id, r.kind, CAST(:known_from AS timestamptz), r.observed_at,
           r.status_before, r.status_after, coalesce(r.currency_after, r.currency_before),
           r.amount_before, r.amount_after
    FROM core.restatements(CAST(:known_from AS timestamptz), CAST(:known_to AS timestamptz)) r
    WHERE r.account = :account AND coalesce(r.completed_before, r.completed_after) < CAST(:known_from AS timestamptz)
      AND NOT EXISTS (SELECT FROM of_closed_days c WHERE c.operation_id = r.operation_id)
      AND (r.kind = 'changed' OR EXISTS (
            SELECT FROM sync.windows w
            WHERE w.account = r.account AND w.stream = 'operations' AND w.verdict = 'complete'
              AND w.committed_at <= CAST(:known_from AS timestamptz)
              AND w.interval_from <= r.completed_after AND w.interval_to >= r.completed_after))
)
SELECT * FROM of_closed_days
UNION ALL
SELECT * FROM of_other_days
ORDER BY known_to DESC, operation_id
LIMIT :most

-- name: completeness
-- The windows that cover the day, of the last walk over each second, and whether a hole is left; what the last fresh
-- walk said of the store; the ledger's head.
WITH asked AS (
    SELECT CAST(:starts_at AS timestamptz) AS day_from,
           CAST(:ends_at AS timestamptz) AS day_to
), latest AS (
    SELECT w.*
    FROM sync.windows w, asked
    WHERE w.account = :account AND w.stream = 'operations' AND w.project_ids = '{}'
      AND w.interval_from < day_to AND w.interval_to > day_from
      AND NOT EXISTS (
          SELECT FROM sync.windows later
          WHERE later.account = w.account AND later.stream = w.stream AND later.project_ids = w.project_ids
            AND later.run_id > w.run_id
            AND later.interval_from <= w.interval_from AND later.interval_to >= w.interval_to)
), head AS (
    SELECT entry_no, encode(entry_hash, 'hex') AS entry_hash
    FROM sync.windows WHERE account = :account ORDER BY entry_no DESC LIMIT 1
)
SELECT CASE WHEN covered THEN 'yes' WHEN windows + incomplete_windows > 0 THEN 'no' ELSE 'unknown' END AS complete,
       windows, incomplete_windows, requests, rows, rejects,
       (SELECT max(c.covered_to) FROM sync.coverage c
        WHERE c.account = :account AND c.stream = 'operations' AND c.project_ids = '{}') AS covered_through,
       coalesce((
           SELECT CASE WHEN verdict = 'complete' THEN 'yes' ELSE 'no' END
           FROM recon.completeness
           WHERE account = :account AND business_date = :day
           ORDER BY walked_at DESC
           LIMIT 1
       ), 'unknown') AS rewalked,
       coalesce((SELECT entry_no FROM head), 0) AS ledger_entries, (SELECT entry_hash FROM head) AS ledger_head
FROM (
    SELECT count(*) FILTER (WHERE verdict = 'complete') AS windows,
           count(*) FILTER (WHERE verdict <> 'complete') AS incomplete_windows,
           coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(rows_met), 0)::bigint AS rows,
           coalesce(sum(rows_rejected), 0)::bigint AS rejects,
           range_agg(tstzrange(interval_from, interval_to, '[]'))
               FILTER (WHERE verdict = 'complete') @> (SELECT tstzrange(day_from, day_to, '[]') FROM asked) AS covered
    FROM latest
) AS walked

-- name: lateness
-- How long after their completion the operations of the day were first seen.
SELECT sync.lateness_label(bucket) AS bucket, operations
FROM (
    SELECT sync.lateness_bucket(o.first_seen_at - o.operation_completed_at) AS bucket, count(*) AS operations
    FROM core.operations o
    WHERE o.account = :account
      AND o.operation_completed_at IS NOT NULL
      AND core.business_at(o) >= CAST(:starts_at AS timestamptz)
      AND core.business_at(o) < CAST(:ends_at AS timestamptz)
    GROUP BY 1
) AS counted
ORDER BY counted.bucket

-- name: last_failure
-- What the last run over the day said, when it did not end complete.
SELECT state, coalesce(message, 'it is still running, or was killed') AS message
FROM sync.runs
WHERE account = :account AND stream = 'operations'
  AND interval_from < CAST(:ends_at AS timestamptz)
  AND interval_to >= CAST(:starts_at AS timestamptz)
ORDER BY run_id DESC
LIMIT 1

-- name: days_by_currency
-- Count and volume of each business day and currency; days are cut in the reporting zone.
SELECT (core.business_at(o) AT TIME ZONE :zone)::date AS business_date,
       coalesce(o.sum_initial_currency, 'none') AS currency,
       count(*) AS operations,
       count(*) FILTER (WHERE s.is_final AND o.operation_type IN ('sale', 'auth', 'recurring')) AS attempts,
       count(*) FILTER (WHERE s.is_success AND o.operation_type IN ('sale', 'auth', 'recurring')) AS approved,
       coalesce(sum(o.sum_initial_amount) FILTER (WHERE s.is_success AND t.sign > 0), 0) AS credit_minor,
       coalesce(sum(o.sum_initial_amount) FILTER (WHERE s.is_success AND t.sign < 0), 0) AS debit_minor
FROM core.operations o
LEFT JOIN core.operation_types t USING (operation_type)
LEFT JOIN core.operation_statuses s USING (operation_status)
WHERE o.account = :account
  AND core.business_at(o) >= CAST(:starts_at AS timestamptz)
  AND core.business_at(o) < CAST(:ends_at AS timestamptz)
GROUP BY 1, 2
ORDER BY 1, 2

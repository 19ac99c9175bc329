-- name: clocks
-- The database's time, and the platform's at the end of the last walk whose rows are stored.
SELECT clock_timestamp() AS now, (SELECT max(walk_ended_at) FROM sync.windows WHERE account = :account) AS loaded_at

-- name: close_prepared
-- The preparation that counts: the last one since the day was last closed or opened again.
SELECT p.prepared_by, p.prepared_at, p.database_user, p.figures_sha256
FROM recon.close_preparations p
WHERE p.account = :account AND p.business_date = :day
  AND p.prepared_at > coalesce((
      SELECT max(c.written_at) FROM recon.closes c WHERE c.account = :account AND c.business_date = :day
  ), '-infinity')
ORDER BY p.preparation_no DESC
LIMIT 1

-- name: close_prepare
INSERT INTO recon.close_preparations (account, business_date, prepared_by, figures_sha256)
VALUES (:account, :day, :by, :figures)
RETURNING prepared_at, database_user

-- name: verify_closes
-- The first row of each account's chain of closed days that is not what was written, and why.
SELECT DISTINCT ON (account) account, close_no, business_date,
       CASE WHEN close_no <> expected_no THEN 'rows before it were removed or reordered'
            WHEN previous_hash <> expected_hash THEN 'it does not follow the row before it'
            ELSE 'it was altered' END AS reason
FROM (
    SELECT c.*, recon.close_hash(c) AS true_hash,
           coalesce(lag(close_no) OVER chain, 0) + 1 AS expected_no,
           coalesce(lag(entry_hash) OVER chain, decode(repeat('00', 32), 'hex')) AS expected_hash
    FROM recon.closes c
    WINDOW chain AS (PARTITION BY account ORDER BY close_no)
) AS chained
WHERE close_no <> expected_no OR previous_hash <> expected_hash OR entry_hash <> true_hash
ORDER BY account, close_no

-- name: close_breaks
-- The day's breaks that are not resolved, each with what a reviewer looks at; not its age, which grows by itself.
SELECT break_type, state, coalesce(operation_id, '') AS operation_id, coalesce(entry_id, '') AS entry_id,
       coalesce(balance_name, '') AS balance_name, currency, amount_minor::text AS minor, owner, note
FROM recon.breaks
WHERE account = :account AND business_date = :day AND state <> 'resolved'
ORDER BY break_id

-- name: close_add
INSERT INTO recon.closes (
    account, business_date, action, known_at, prepared_by, decided_by, with_open_breaks, document, document_sha256
)
VALUES (:account, :day, 'close', :known_at, :prepared_by, :by, :with_open_breaks, :document, :document_sha256)
RETURNING close_no, encode(document_sha256, 'hex') AS sha256, encode(entry_hash, 'hex') AS entry_hash

-- name: close_reopen
INSERT INTO recon.closes (account, business_date, action, known_at, decided_by, reason)
VALUES (:account, :day, 'reopen', clock_timestamp(), :by, :reason)
RETURNING close_no

-- name: closes_between
-- The rows that closed the days from one to another, of those that are closed now.
SELECT d.business_date, c.close_no, c.document, encode(c.document_sha256, 'hex') AS sha256,
       encode(c.entry_hash, 'hex') AS entry_hash, c.entry_hash = recon.close_hash(c) AS is_intact
FROM recon.closes c
JOIN recon.closed_days d ON d.account = c.account AND d.close_no = c.close_no
WHERE c.account = :account AND d.business_date BETWEEN :first AND :last
ORDER BY d.business_date

-- name: reporting_zone
SELECT value FROM core.settings WHERE key = 'reporting_zone'

-- name: close_state
-- What a day needs to be closed: its latest proof, its last reconciliation, its open breaks; and whether it changed since.
-- A proof of other bounds than the day has now, or a reconciliation from before its zone was changed, is none.
SELECT proof.verdict AS completeness, proof.reason, d.open_breaks,
       CASE WHEN d.books_at >= (SELECT updated_at FROM core.settings WHERE key = 'reporting_zone')
            THEN d.books_at END AS books_at,
       recon.day_changed_at(d.account, d.business_date) IS DISTINCT FROM (
           SELECT r.day_changed_at FROM recon.runs r
           WHERE r.account = d.account AND r.business_date = d.business_date AND r.leg = 'books'
           ORDER BY r.run_no DESC LIMIT 1
       ) AS changed
FROM recon.days d
LEFT JOIN LATERAL (
    SELECT p.verdict, p.reason, p.interval_from, p.interval_to FROM recon.completeness p
    WHERE p.account = d.account AND p.business_date = d.business_date
    ORDER BY p.walked_at DESC
    LIMIT 1
) AS proof ON proof.interval_from <= core.business_day_starts_at(d.business_date)
    AND proof.interval_to >= core.business_day_starts_at(d.business_date + 1) - interval '1 second'
WHERE d.account = :account AND d.business_date = :day

-- name: seal_head
-- Where the figures stand: the zone, the ledger's head, the row of the chain before.
SELECT (SELECT value FROM core.settings WHERE key = 'reporting_zone') AS reporting_zone, session_user AS closed_as,
       core.business_day_starts_at(CAST(:day AS date)) AS starts_at,
       core.business_day_starts_at(CAST(:day AS date) + 1) AS ends_at,
       (SELECT jsonb_build_object('entry_no', entry_no, 'head', encode(entry_hash, 'hex'))
        FROM sync.windows WHERE account = :account ORDER BY entry_no DESC LIMIT 1) AS ledger_head,
       (SELECT jsonb_build_object('close_no', close_no, 'head', encode(entry_hash, 'hex'))
        FROM recon.closes WHERE account = :account ORDER BY close_no DESC LIMIT 1) AS previous_close

-- name: seal_totals
-- Count and sum in minor units, by currency, type and status; exponent as valid on the day.
SELECT o.sum_initial_currency AS currency,
       (SELECT c.exponent FROM core.currencies c
        WHERE c.currency = o.sum_initial_currency AND c.valid_from <= :day AND (c.valid_to IS NULL OR c.valid_to > :day)
       ) AS exponent,
       o.operation_type AS type, o.operation_status AS status,
       coalesce(s.is_success, false) AS is_success, coalesce(t.sign, 0) AS sign,
       count(*) AS count, sum(o.sum_initial_amount)::text AS minor
FROM core.operations o
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
WHERE o.account = :account
  AND core.business_at(o) >= core.business_day_starts_at(CAST(:day AS date))
  AND core.business_at(o) < core.business_day_starts_at(CAST(:day AS date) + 1)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY o.sum_initial_currency COLLATE "C", o.operation_type COLLATE "C", o.operation_status COLLATE "C"

-- name: seal_completeness
SELECT verdict, reason, walked_at, requests, rows_walked, rows_rejected, rows_missing, rows_differing, rows_gone, rows_moved,
       totals_walked, totals_stored, digest_walked, digest_stored
FROM recon.completeness
WHERE account = :account AND business_date = :day
ORDER BY walked_at DESC
LIMIT 1

-- name: seal_books
SELECT figures FROM recon.runs
WHERE account = :account AND business_date = :day AND leg = 'books'
ORDER BY run_no DESC
LIMIT 1

-- name: seal_breaks
-- Breaks of the day and of the days before it that are not resolved, by type, state, age on the day after, currency.
SELECT b.break_type, b.state,
       recon.age_bucket(CAST(:day AS date) + 1 - b.business_date) AS age,
       b.currency, count(*) AS count, sum(abs(b.amount_minor))::text AS minor
FROM recon.breaks b
WHERE b.account = :account AND b.state <> 'resolved' AND b.business_date <= :day
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4

-- name: seal_largest_breaks
SELECT break_id, break_type, state, business_date, operation_id, entry_id, balance_name, currency,
       amount_minor::text AS minor, detail, owner, note
FROM (
    SELECT b.*, row_number() OVER (
        PARTITION BY b.currency ORDER BY abs(b.amount_minor) DESC NULLS LAST, b.break_id
    ) AS place
    FROM recon.breaks b
    WHERE b.account = :account AND b.state <> 'resolved' AND b.business_date <= :day
) AS ranked
WHERE place <= :largest
ORDER BY currency COLLATE "C", place

-- name: seal_balances
SELECT balance_name, currency, opening_at, opening_minor::text AS opening_minor, movements, movements_minor::text AS movements_minor,
       closing_at, closing_minor::text AS closing_minor, unexplained_minor::text AS unexplained_minor, basis, status
FROM recon.balance_rollforward
WHERE account = :account AND business_date = :day
ORDER BY balance_name COLLATE "C", currency COLLATE "C"

-- name: seal_restatements
-- What is known by now of days closed before: both dates of knowledge, by day, currency and kind. Amounts of two
-- currencies are not added: an operation whose currency changed is in a group of its own.
SELECT business_date, close_no, kind, sealed_known_at, max(restated_known_at) AS restated_known_at,
       coalesce(currency_before, currency_after) AS currency, coalesce(currency_after, currency_before) AS currency_after,
       count(*) AS count, sum(minor_before)::text AS minor_before, sum(minor_after)::text AS minor_after
FROM recon.restatements
WHERE account = :account AND business_date < :day
GROUP BY 1, 2, 3, 4, 6, 7
ORDER BY 1, 3, 6, 7

-- name: chain_between
-- The chain from the first row about the days to its tip: what each row's hash was made of, to the byte.
SELECT close_no, business_date, action, encode(previous_hash, 'hex') AS previous_hash,
       encode(entry_hash, 'hex') AS entry_hash, recon.close_text(c) AS content
FROM recon.closes c
WHERE account = :account
  AND close_no >= (SELECT min(o.close_no) FROM recon.closes o
                   WHERE o.account = c.account AND o.business_date BETWEEN :first AND :last)
ORDER BY close_no

-- name: close_tips
SELECT DISTINCT ON (account) account, close_no, encode(entry_hash, 'hex') AS head
FROM recon.closes
ORDER BY account, close_no DESC

-- name: close_with_hash
SELECT account, close_no FROM recon.closes WHERE entry_hash = decode(:hash, 'hex')

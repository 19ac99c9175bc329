-- name: tables
-- The breaks as found now.
CREATE TEMPORARY TABLE found_breaks (
    break_key          text NOT NULL,
    business_date      date NOT NULL,
    break_type         text NOT NULL,
    operation_id       text,
    entry_id           text,
    balance_name       text,
    currency           text,
    amount_minor       numeric,
    platform_currency  text,
    platform_minor     numeric,
    platform_status    text,
    ledger_currency    text,
    ledger_minor       numeric,
    ledger_status      text,
    detail             text NOT NULL,
    excuse             text
) ON COMMIT DROP;

-- The matches whose two sides do not say the same, and what each says.
CREATE TEMPORARY TABLE compared (
    match_id           text COLLATE "C" NOT NULL,
    operation_id       text COLLATE "C" NOT NULL,
    entry_id           text COLLATE "C" NOT NULL,
    operation_type     text COLLATE "C",
    at                 timestamptz,
    platform_currency  text COLLATE "C",
    platform_minor     numeric,
    platform_status    text COLLATE "C",
    ledger_currency    text COLLATE "C",
    ledger_minor       numeric,
    ledger_status      text COLLATE "C",
    fee_minor          numeric
) ON COMMIT DROP

-- name: compare
-- One against several: the several are added up (the passes never put two currencies into one match). What an entry
-- that names the operation books the other way round, a refund as a sale, counts below zero.
INSERT INTO compared
SELECT n.match_id, min(o.operation_id), min(e.entry_id), min(o.operation_type), max(o.at),
       min(o.currency), CASE WHEN min(n.shape) = 'n:1' THEN sum(o.minor) ELSE max(o.minor) END, min(o.operation_status),
       min(e.currency), CASE WHEN min(n.shape) = '1:n' THEN sum(booked.minor) ELSE max(booked.minor) END, min(e.status),
       CASE WHEN min(n.shape) = '1:n' THEN sum(e.fee_minor) ELSE max(e.fee_minor) END
FROM new_links n
JOIN pool_operations o ON o.operation_id = n.operation_id
JOIN pool_entries e ON e.entry_id = n.entry_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN n.pass = 'operation_id' THEN e.counts * e.minor ELSE e.minor END AS minor
) AS booked
WHERE n.shape <> '1:1'
   OR (o.currency, o.minor, o.operation_status) IS DISTINCT FROM (e.currency, booked.minor, e.status)
GROUP BY n.match_id

-- name: currency
-- currency: the two sides name different currencies; their amounts cannot be compared.
INSERT INTO found_breaks
SELECT 'currency ' || match_id, coalesce(core.business_date(at), CAST(:day AS date)), 'currency', operation_id, entry_id, NULL,
       platform_currency, platform_minor, platform_currency, platform_minor, platform_status,
       ledger_currency, ledger_minor, ledger_status,
       concat('the platform has ', coalesce(platform_currency, 'no currency'), ', the books have ', ledger_currency), NULL
FROM compared
WHERE platform_currency IS DISTINCT FROM ledger_currency

-- name: amount
-- amount, rounding or fee: one currency, different amounts. A difference that is exactly the booked fee is a fee break
-- (booked net). One within the tolerance, or of one minor unit, is a rounding break; within the tolerance it is
-- explained by that; one that a person matched by hand with a reason is explained by that as long as it stays the same.
-- Basis points are multiplied: a division rounds a large quotient to whole units before floor sees it.
INSERT INTO found_breaks
SELECT kind.name || ' ' || c.match_id, days.day, kind.name, c.operation_id, c.entry_id, NULL,
       c.platform_currency, c.ledger_minor - coalesce(c.platform_minor, 0), c.platform_currency, c.platform_minor,
       c.platform_status, c.ledger_currency, c.ledger_minor, c.ledger_status,
       CASE WHEN kind.name = 'fee' THEN 'booked net of the fee' WHEN kind.name = 'rounding' THEN 'a rounding difference'
            WHEN c.ledger_minor < 0 THEN 'booked the other way round, such as a refund as a sale'
            ELSE 'the amounts differ' END,
       coalesce(by_hand.excuse, CASE WHEN differing.by <= allowed.minor THEN 'within the tolerance' END)
FROM compared c
CROSS JOIN LATERAL (SELECT coalesce(core.business_date(c.at), CAST(:day AS date)) AS day) AS days
CROSS JOIN LATERAL (SELECT abs(c.ledger_minor - coalesce(c.platform_minor, 0)) AS by) AS differing
LEFT JOIN LATERAL (
    SELECT greatest(t.absolute_minor, floor(abs(c.platform_minor) * t.relative_bps * 0.0001)) AS minor
    FROM recon.tolerances t
    WHERE t.account = :account AND t.currency IN (c.platform_currency, '*') AND t.operation_type IN (c.operation_type, '*')
      AND t.valid_from <= days.day AND (t.valid_to IS NULL OR t.valid_to > days.day)
    ORDER BY t.currency = '*', t.operation_type = '*', t.valid_from DESC
    LIMIT 1
) AS allowed ON true
LEFT JOIN LATERAL (
    SELECT concat('matched by hand by ', d.decided_by, ': ', d.note) AS excuse
    FROM decided d
    JOIN new_links n ON n.operation_id = d.operation_id AND n.entry_id = d.entry_id AND n.pass = 'manual'
    WHERE d.match_id = c.match_id AND d.decision = 'match'
      AND d.difference_minor = c.ledger_minor - coalesce(c.platform_minor, 0)
    LIMIT 1
) AS by_hand ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN differing.by = c.fee_minor AND c.ledger_minor < c.platform_minor THEN 'fee'
                WHEN differing.by <= greatest(1, allowed.minor) THEN 'rounding' ELSE 'amount' END AS name
) AS kind
WHERE c.platform_currency = c.ledger_currency AND c.platform_minor IS DISTINCT FROM c.ledger_minor

-- name: status
-- status: the books hold another outcome than the platform.
INSERT INTO found_breaks
SELECT 'status ' || match_id, coalesce(core.business_date(at), CAST(:day AS date)), 'status', operation_id, entry_id, NULL,
       coalesce(platform_currency, ledger_currency), coalesce(platform_minor, ledger_minor), platform_currency,
       platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
       concat('the platform says ', coalesce(platform_status, 'nothing'), ', the books say ', ledger_status), NULL
FROM compared
WHERE platform_status IS DISTINCT FROM ledger_status

-- name: fee
-- fee: the fee that was booked is not the one of recon.fee_rules (rounded half up).
INSERT INTO found_breaks
SELECT 'fee_rule ' || n.match_id, days.day, 'fee', o.operation_id, e.entry_id, NULL,
       e.currency, e.fee_minor - rule.fee, o.currency, rule.fee, o.operation_status, e.currency, e.fee_minor, e.status,
       'the booked fee is not the agreed one', NULL
FROM pool_entries e
JOIN new_links n ON n.entry_id = e.entry_id AND n.shape = '1:1'
JOIN pool_operations o ON o.operation_id = n.operation_id AND o.currency = e.currency
CROSS JOIN LATERAL (SELECT coalesce(core.business_date(o.at), CAST(:day AS date)) AS day) AS days
CROSS JOIN LATERAL (
    SELECT r.fixed_minor + floor((CAST(o.minor AS numeric) * r.bps + 5000) * 0.0001) AS fee
    FROM recon.fee_rules r
    WHERE r.account = :account AND r.currency = o.currency AND r.operation_type = o.operation_type
      AND r.valid_from <= days.day AND (r.valid_to IS NULL OR r.valid_to > days.day)
    ORDER BY r.valid_from DESC
    LIMIT 1
) AS rule
WHERE e.fee_minor IS NOT NULL AND e.fee_minor <> rule.fee
  AND EXISTS (SELECT FROM recon.fee_rules WHERE account = :account)

-- name: operation_alone
-- An operation of the day that the books must have, and have not.
-- duplicate_at_platform: its payment has another one just like it within a day, and that one is booked.
-- timing: it came in the last minutes of the day, and the books do not reach behind the day yet.
WITH twins AS MATERIALIZED (
    SELECT o.operation_id
    FROM left_operations o
    JOIN core.operations twin ON twin.account = :account AND twin.payment_id = (o.payment_id COLLATE "default")
        AND twin.project_id = (o.project_id COLLATE "default") AND twin.operation_id <> o.operation_id
        AND twin.operation_type = (o.operation_type COLLATE "default") AND twin.sum_initial_amount = o.minor
        AND twin.sum_initial_currency = (o.currency COLLATE "default")
        -- as a sum, so that it is looked up by its payment: a whole day's operations have these times
        AND core.business_at(twin) + interval '0' BETWEEN o.at - interval '1 day' AND o.at + interval '1 day'
    JOIN core.operation_statuses s ON s.operation_status = twin.operation_status AND s.is_success
    WHERE o.is_home AND o.is_required
      AND (twin.operation_id IN (SELECT n.operation_id FROM new_links n)
        OR EXISTS (SELECT FROM recon.matches m WHERE m.account = :account
                   AND m.operation_id = twin.operation_id AND m.business_date <> :day))
)
INSERT INTO found_breaks
SELECT kind.name || ' o' || o.operation_id, CAST(:day AS date), kind.name, o.operation_id, NULL, NULL,
       o.currency, o.minor, o.currency, o.minor, o.operation_status, NULL, NULL, NULL,
       CASE kind.name WHEN 'duplicate_at_platform' THEN 'the payment has the same operation twice, and the books have one'
                      WHEN 'timing' THEN 'at the end of the day: expected in the books of the next one'
                      ELSE 'no entry of the books is this operation' END, NULL
FROM left_operations o
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN o.operation_id IN (SELECT t.operation_id FROM twins t) THEN 'duplicate_at_platform'
        WHEN NOT :books_go_on AND o.at >= CAST(:ends_at AS timestamptz) - make_interval(mins => :cutoff_minutes) THEN 'timing'
        ELSE 'missing_in_ledger' END AS name
) AS kind
WHERE o.is_home AND o.is_required

-- name: set_loops
-- What is found and what is left of a day may be a million rows each, whatever the statistics of a time say when they
-- were not there: a loop of one over the other takes hours. 'off' keeps the planner from it, for this transaction.
SELECT set_config('enable_nestloop', :loops, true)

-- name: entry_alone
-- An entry of the day that no operation is.
-- duplicate_in_ledger: the operation that it names, or the payment or reference with this amount, is booked already.
-- timing: it was booked in the last minutes of the day, and the store does not reach behind the day yet.
WITH booked AS MATERIALIZED (
    SELECT * FROM pool_entries WHERE entry_id IN (SELECT n.entry_id FROM new_links n)
),
booked_again AS MATERIALIZED (
    SELECT e.entry_id
    FROM left_entries e
    JOIN booked twin ON twin.payment_id = e.payment_id AND twin.operation_type = e.operation_type
        AND twin.currency = e.currency AND twin.minor = e.minor
    WHERE e.is_home AND e.operation_id IS NULL AND twin.entry_id <> e.entry_id
      AND (twin.project_id IS NULL OR e.project_id IS NULL OR twin.project_id = e.project_id)
    UNION ALL
    SELECT e.entry_id
    FROM left_entries e
    JOIN booked twin ON twin.reference = e.reference AND twin.operation_type = e.operation_type
        AND twin.currency = e.currency AND twin.minor = e.minor
    WHERE e.is_home AND e.operation_id IS NULL AND twin.entry_id <> e.entry_id
)
INSERT INTO found_breaks
SELECT kind.name || ' e' || e.entry_id, CAST(:day AS date), kind.name, e.operation_id, e.entry_id, NULL,
       e.currency, e.minor, NULL, NULL, NULL, e.currency, e.minor, e.status,
       CASE kind.name WHEN 'duplicate_in_ledger' THEN 'booked again: another entry is this operation already'
                      WHEN 'timing' THEN 'at the end of the day: expected at the platform the next day'
                      ELSE 'no operation of the platform is this entry' END, NULL
FROM left_entries e
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN e.operation_id IN (SELECT n.operation_id FROM new_links n)
          OR EXISTS (SELECT FROM recon.matches m WHERE m.account = :account AND m.operation_id = e.operation_id
                     AND m.business_date <> :day)
          OR e.entry_id IN (SELECT b.entry_id FROM booked_again b) THEN 'duplicate_in_ledger'
        WHEN NOT :platform_goes_on AND NOT e.is_date_only
          AND e.booked_at >= CAST(:ends_at AS timestamptz) - make_interval(mins => :cutoff_minutes) THEN 'timing'
        ELSE 'missing_at_platform' END AS name
) AS kind
WHERE e.is_home

-- name: orphan_refund
-- orphan_refund: a refund whose payment was never sold, captured or charged, as far as the store knows.
INSERT INTO found_breaks
SELECT 'orphan_refund o' || r.operation_id, CAST(:day AS date), 'orphan_refund', r.operation_id, NULL, NULL,
       r.sum_initial_currency, r.sum_initial_amount, r.sum_initial_currency, r.sum_initial_amount, r.operation_status,
       NULL, NULL, NULL, 'the payment has no successful sale, capture or recurring charge', NULL
FROM core.operations r
JOIN core.operation_statuses s ON s.operation_status = r.operation_status AND s.is_success
WHERE r.account = :account AND r.operation_type = 'refund'
  AND core.business_at(r) >= :starts_at AND core.business_at(r) < :ends_at
  AND NOT EXISTS (
      SELECT FROM core.operations c
      JOIN core.operation_types t ON t.operation_type = c.operation_type AND t.sign = 1
      JOIN core.operation_statuses cs ON cs.operation_status = c.operation_status AND cs.is_success
      WHERE c.account = r.account AND c.payment_id = r.payment_id AND c.project_id IS NOT DISTINCT FROM r.project_id
  )

-- name: refund_above_capture
-- refund_above_capture: with this refund the payment has given back more than it took, by currency; the amount is
-- this refund's part of that.
INSERT INTO found_breaks
SELECT 'refund_above_capture o' || g.operation_id, CAST(:day AS date), 'refund_above_capture', g.operation_id, NULL, NULL,
       g.sum_initial_currency, least(g.sum_initial_amount, g.refunded - taken.minor), g.sum_initial_currency,
       g.sum_initial_amount, g.operation_status, NULL, NULL, NULL, 'the payment has been refunded more than was captured', NULL
FROM (
    SELECT r.*, business.at, sum(r.sum_initial_amount) OVER (
               PARTITION BY r.project_id, r.payment_id, r.sum_initial_currency
               ORDER BY business.at, r.operation_id
           ) AS refunded
    FROM core.operations r
    JOIN core.operation_statuses s ON s.operation_status = r.operation_status AND s.is_success
    CROSS JOIN LATERAL (SELECT core.business_at(r) AS at) AS business
    WHERE r.account = :account AND r.operation_type = 'refund' AND r.payment_id IN (
        SELECT d.payment_id FROM core.operations d
        WHERE d.account = :account AND d.operation_type = 'refund'
          AND core.business_at(d) >= :starts_at AND core.business_at(d) < :ends_at
    )
) AS g
CROSS JOIN LATERAL (
    SELECT sum(c.sum_initial_amount) AS minor
    FROM core.operations c
    JOIN core.operation_types t ON t.operation_type = c.operation_type AND t.sign = 1
    JOIN core.operation_statuses cs ON cs.operation_status = c.operation_status AND cs.is_success
    WHERE c.account = g.account AND c.payment_id = g.payment_id AND c.project_id IS NOT DISTINCT FROM g.project_id
      AND c.sum_initial_currency = g.sum_initial_currency
) AS taken
WHERE g.at >= :starts_at AND g.at < :ends_at AND g.refunded > taken.minor

-- name: late_change
-- late_change: an operation of a closed day that is no longer what the sealed figures say; by how much success moved.
INSERT INTO found_breaks
SELECT 'late_change ' || r.close_no || ' o' || r.operation_id, r.business_date, 'late_change', r.operation_id, NULL, NULL,
       coalesce(r.currency_before, r.currency_after),
       CASE WHEN r.currency_before <> r.currency_after
                THEN -coalesce(CAST(r.minor_before AS numeric), 0) * CAST(b.is_success AS integer)
            ELSE coalesce(CAST(r.minor_after AS numeric) * CAST(a.is_success AS integer), 0)
               - coalesce(r.minor_before * CAST(b.is_success AS integer), 0) END,
       r.currency_after, r.minor_after, r.status_after, NULL, NULL, NULL,
       concat(r.kind, ' since the day was closed: ', coalesce(r.status_before, 'not there'), ' → ', r.status_after), NULL
FROM recon.restatements r
LEFT JOIN core.operation_statuses a ON a.operation_status = r.status_after
LEFT JOIN core.operation_statuses b ON b.operation_status = r.status_before
WHERE r.account = :account AND r.business_date = :day

-- name: save
-- A break found again keeps its row. Other figures open it again; found again after it was gone, it is open, or
-- explained if somebody explained these very figures; a tolerance explains, and no longer explains when it is taken back.
INSERT INTO recon.breaks AS b (
    account, break_key, business_date, reconciled_date, break_type, operation_id, entry_id, balance_name, currency,
    amount_minor, platform_currency, platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
    detail, state, owner, note, explained_by
)
SELECT :account, break_key, business_date, :day, break_type, operation_id, entry_id, balance_name, currency,
       amount_minor, platform_currency, platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
       detail, CASE WHEN excuse IS NULL THEN 'open' ELSE 'explained' END,
       CASE WHEN excuse IS NOT NULL THEN 'reconcile' END, excuse, CASE WHEN excuse IS NOT NULL THEN 'reconcile' END
FROM found_breaks
ORDER BY break_key
ON CONFLICT (account, break_key) DO UPDATE SET
    business_date = excluded.business_date, reconciled_date = excluded.reconciled_date,
    operation_id = excluded.operation_id, entry_id = excluded.entry_id, currency = excluded.currency,
    amount_minor = excluded.amount_minor, platform_currency = excluded.platform_currency,
    platform_minor = excluded.platform_minor, platform_status = excluded.platform_status,
    ledger_currency = excluded.ledger_currency, ledger_minor = excluded.ledger_minor,
    ledger_status = excluded.ledger_status, detail = excluded.detail,
    (state, explained_by) = (
        SELECT CASE WHEN excluded.state = 'explained' OR still.explained THEN 'explained' ELSE 'open' END,
               CASE WHEN still.explained THEN b.explained_by ELSE excluded.explained_by END
        FROM (SELECT b.explained_by <> 'reconcile' AND (b.amount_minor, b.currency, b.platform_currency,
              b.platform_minor, b.platform_status, b.ledger_currency, b.ledger_minor, b.ledger_status)
             IS NOT DISTINCT FROM (excluded.amount_minor, excluded.currency, excluded.platform_currency,
              excluded.platform_minor, excluded.platform_status, excluded.ledger_currency, excluded.ledger_minor,
              excluded.ledger_status) AS explained) AS still
    ),
    owner = CASE WHEN b.owner = 'reconcile' OR b.owner IS NULL THEN excluded.owner ELSE b.owner END,
    note = CASE WHEN b.explained_by = 'reconcile' OR b.note IS NULL THEN excluded.note ELSE b.note END,
    changed_at = clock_timestamp(), resolved_at = NULL
WHERE b.state = 'resolved'
   OR (b.explained_by = 'reconcile' AND excluded.state = 'open')
   OR (b.state = 'open' AND excluded.state = 'explained')
   OR (b.reconciled_date, b.amount_minor, b.currency, b.platform_currency, b.platform_minor, b.platform_status,
       b.ledger_currency, b.ledger_minor, b.ledger_status)
      IS DISTINCT FROM (excluded.reconciled_date, excluded.amount_minor, excluded.currency, excluded.platform_currency,
       excluded.platform_minor, excluded.platform_status, excluded.ledger_currency, excluded.ledger_minor,
       excluded.ledger_status)

-- name: resolve_gone
-- Breaks of the day that are no longer found are resolved.
UPDATE recon.breaks b SET state = 'resolved', resolved_at = clock_timestamp(), changed_at = clock_timestamp()
WHERE b.account = :account AND b.reconciled_date = :day AND b.state <> 'resolved'
  AND (b.break_type = 'balance') = :balances
  AND NOT EXISTS (SELECT FROM found_breaks f WHERE f.break_key = b.break_key)

-- name: resolve_matched
-- What another day was waiting for has come: the break of that day clears itself.
UPDATE recon.breaks b SET state = 'resolved', resolved_at = clock_timestamp(), changed_at = clock_timestamp()
WHERE b.account = :account AND b.reconciled_date <> :day AND b.state <> 'resolved'
  AND b.break_type IN ('missing_in_ledger', 'missing_at_platform', 'timing', 'duplicate_in_ledger', 'duplicate_at_platform')
  AND (b.entry_id IS NULL AND b.operation_id IN (SELECT n.operation_id FROM new_links n)
    OR b.entry_id IN (SELECT n.entry_id FROM new_links n))

-- name: add_run
INSERT INTO recon.runs (account, business_date, leg, started_at, day_changed_at, figures)
VALUES (:account, :day, :leg, :started_at, CAST(:changed_at AS timestamptz), CAST(:figures AS jsonb))

-- name: list
-- Breaks that are not resolved and fit the filter, oldest first; version is the last event of each.
SELECT b.break_id, b.business_date, b.due_date, b.is_overdue, b.break_type, b.state, b.age_bucket, b.currency,
       b.amount_minor, b.operation_id, b.entry_id, b.balance_name, b.detail, b.owner, b.reason, b.note,
       (SELECT max(e.event_id) FROM recon.break_events e WHERE e.account = b.account AND e.break_id = b.break_id) AS version
FROM recon.aged_breaks b
WHERE b.account = :account AND (b.state = 'open' OR :explained)
  AND (CAST(:ids AS bigint[]) IS NULL OR b.break_id = ANY (CAST(:ids AS bigint[])))
  AND (CAST(:first_day AS date) IS NULL OR b.business_date >= :first_day)
  AND (CAST(:last_day AS date) IS NULL OR b.business_date <= :last_day)
  AND (CAST(:types AS text[]) IS NULL OR b.break_type = ANY (CAST(:types AS text[])))
  AND (CAST(:currency AS text) IS NULL OR b.currency = :currency)
  AND (CAST(:min_age AS integer) IS NULL OR b.age_days >= :min_age)
  AND (CAST(:least_minor AS numeric) IS NULL OR abs(b.amount_minor) >= :least_minor)
  AND (CAST(:most_minor AS numeric) IS NULL OR abs(b.amount_minor) <= :most_minor)
  AND (CAST(:owner AS text) IS NULL OR b.owner = :owner)
  AND (NOT :overdue OR b.is_overdue)
ORDER BY b.business_date, b.break_type, b.break_id
LIMIT :most

-- name: owners
SELECT DISTINCT owner FROM recon.breaks
WHERE account = :account AND owner IS NOT NULL AND owner <> 'reconcile'
ORDER BY owner

-- name: reasons
SELECT reason, description, added_by FROM recon.break_reasons ORDER BY reason

-- name: add_reason
INSERT INTO recon.break_reasons (reason, description, added_by) VALUES (:reason, :description, :by)
ON CONFLICT (reason) DO NOTHING
RETURNING reason

-- name: deadlines
SELECT break_type, days, set_by FROM recon.break_deadlines ORDER BY break_type = '*' DESC, break_type

-- name: set_deadline
INSERT INTO recon.break_deadlines (break_type, days, set_by) VALUES (:break_type, :days, :by)
ON CONFLICT (break_type) DO UPDATE SET days = excluded.days, set_by = excluded.set_by, set_at = clock_timestamp()

-- name: actor
-- The name that the history shows for what this transaction does.
SELECT set_config('recon.actor', :by, true)

-- name: lock
-- Nobody changes these breaks until this transaction ends.
SELECT break_id FROM recon.breaks
WHERE account = :account AND break_id = ANY (CAST(:ids AS bigint[]))
ORDER BY break_id
FOR UPDATE

-- name: states
-- Each of these breaks as it is, as it was at the version given with it, and who changed it last.
SELECT b.break_id, b.state, b.currency, b.amount_minor, b.business_date, b.owner, b.reason, b.note,
       last.event_id AS version, last.actor AS changed_by, last.at AS changed_at, base.event_id IS NOT NULL AS has_base,
       base.state AS base_state, base.amount_minor AS base_minor, base.owner AS base_owner, base.reason AS base_reason,
       base.comment AS base_note
FROM unnest(CAST(:ids AS bigint[]), CAST(:versions AS bigint[])) AS given(break_id, version)
JOIN recon.breaks b ON b.account = :account AND b.break_id = given.break_id
CROSS JOIN LATERAL (
    SELECT e.event_id, e.actor, e.at FROM recon.break_events e
    WHERE e.account = b.account AND e.break_id = b.break_id
    ORDER BY e.event_id DESC
    LIMIT 1
) AS last
LEFT JOIN recon.break_events base ON base.account = b.account AND base.event_id = given.version AND base.break_id = b.break_id

-- name: change
-- NULL leaves a value as it is, an empty text clears it. A break is explained by whoever does this; without an owner it
-- becomes theirs. One whose explanation is cleared (its reason, or the note where it has none) is open again.
UPDATE recon.breaks b SET
    owner = CASE WHEN given.explained THEN coalesce(nullif(nullif(coalesce(given.owner, b.owner), 'reconcile'), ''), :by)
                 ELSE nullif(coalesce(given.owner, b.owner), '') END,
    reason = nullif(coalesce(given.reason, b.reason), ''),
    note = nullif(coalesce(given.note, b.note), ''),
    state = CASE WHEN given.explained THEN 'explained' WHEN given.reopened THEN 'open' ELSE b.state END,
    explained_by = CASE WHEN given.explained THEN :by WHEN given.reopened THEN NULL ELSE b.explained_by END,
    changed_at = clock_timestamp()
FROM (
    SELECT c.*, c.reason = '' OR (c.note = '' AND now.reason IS NULL) AS reopened
    FROM unnest(CAST(:ids AS bigint[]), CAST(:owners AS text[]), CAST(:reasons AS text[]), CAST(:notes AS text[]),
                CAST(:explained AS boolean[])) AS c(break_id, owner, reason, note, explained)
    JOIN recon.breaks now ON now.account = :account AND now.break_id = c.break_id
) AS given
WHERE b.account = :account AND b.break_id = given.break_id AND b.state <> 'resolved'

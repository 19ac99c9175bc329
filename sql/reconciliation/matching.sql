-- name: settings
-- For this transaction: memory for hash joins over a day of a million rows, and the name that the history shows.
SELECT set_config('work_mem', '192MB', true), set_config('jit', 'off', true), set_config('recon.actor', 'reconcile', true)

-- name: lock_account
-- One reconciliation at a time for an account: two would match the same entry.
SELECT pg_advisory_xact_lock(hashtextextended('recon ' || :account, 0))

-- name: day_bounds
-- The business day as moments, and whether either side goes on behind it (then what is missing is not just late).
SELECT core.business_day_starts_at(CAST(:day AS date)) AS starts_at,
       core.business_day_starts_at(CAST(:day AS date) + 1) AS ends_at,
       EXISTS (SELECT FROM recon.ledger_entries WHERE account = :account) AS has_books,
       EXISTS (
           SELECT FROM recon.ledger_entries
           WHERE account = :account AND booked_at >= core.business_day_starts_at(CAST(:day AS date) + 1)
       ) AS books_go_on,
       EXISTS (
           SELECT FROM core.operations o
           WHERE o.account = :account
             AND core.business_at(o) >= core.business_day_starts_at(CAST(:day AS date) + 1)
       ) AS platform_goes_on

-- name: day_changed_at
SELECT recon.day_changed_at(:account, CAST(:day AS date)) AS moment

-- name: tables
-- What takes part, what belongs together, and what is left of either side; all of it gone at commit.
-- The operations that can be matched. is_home: of the day; the others are neighbours without a match.
-- is_required: it succeeded and moves money, so that the books must have it.
CREATE TEMPORARY TABLE pool_operations (
    operation_id      text COLLATE "C" NOT NULL,
    project_id        text COLLATE "C",
    payment_id        text COLLATE "C",
    operation_type    text COLLATE "C",
    operation_status  text COLLATE "C",
    is_success        boolean NOT NULL,
    is_required       boolean NOT NULL,
    currency          text COLLATE "C",
    minor             bigint,
    at                timestamptz,
    arn               text COLLATE "C",
    rrn               text COLLATE "C",
    is_home           boolean NOT NULL
) ON COMMIT DROP;

-- The entries that can be matched. counts: -1 of one that names an operation and books it the other way round.
CREATE TEMPORARY TABLE pool_entries (
    entry_id        text COLLATE "C" NOT NULL,
    booked_at       timestamptz NOT NULL,
    is_date_only    boolean NOT NULL,
    operation_type  text COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL,
    currency        text COLLATE "C" NOT NULL,
    minor           bigint NOT NULL,
    fee_minor       bigint,
    operation_id    text COLLATE "C",
    project_id      text COLLATE "C",
    payment_id      text COLLATE "C",
    reference       text COLLATE "C",
    is_home         boolean NOT NULL,
    counts          smallint NOT NULL DEFAULT 1
) ON COMMIT DROP;

-- The pairs found by the passes.
CREATE TEMPORARY TABLE new_links (
    operation_id  text COLLATE "C" NOT NULL,
    entry_id      text COLLATE "C" NOT NULL,
    match_id      text COLLATE "C" NOT NULL,
    pass          text NOT NULL,
    match_key     text NOT NULL,
    score         smallint NOT NULL,
    shape         text NOT NULL
) ON COMMIT DROP;

-- What people decided about matches of this account. is_whole: every operation and entry of the match still stands;
-- is_of_day: one of them is of the day.
CREATE TEMPORARY TABLE decided (
    decision          text NOT NULL,
    operation_id      text COLLATE "C" NOT NULL,
    entry_id          text COLLATE "C" NOT NULL,
    match_id          text COLLATE "C" NOT NULL,
    shape             text NOT NULL,
    difference_minor  numeric NOT NULL,
    note              text NOT NULL,
    decided_by        text NOT NULL,
    is_whole          boolean NOT NULL,
    pairs             bigint NOT NULL,
    is_of_day         boolean NOT NULL
) ON COMMIT DROP;

CREATE TEMPORARY TABLE left_operations (LIKE pool_operations) ON COMMIT DROP;

CREATE TEMPORARY TABLE left_entries (LIKE pool_entries) ON COMMIT DROP

-- name: operations_of_day
-- Operations of the day, and as neighbours the successful ones a day before and after, which the books may have on this
-- day; but none that another day's reconciliation has matched.
INSERT INTO pool_operations
SELECT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       coalesce(s.is_success, false), coalesce(s.is_success, false) AND coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, moment.at, o.arn, o.rrn, here.is_home
FROM core.operations o
CROSS JOIN LATERAL (SELECT core.business_at(o) AS at) AS moment
CROSS JOIN LATERAL (SELECT moment.at >= :starts_at AND moment.at < :ends_at AS is_home) AS here
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE o.account = :account
  AND moment.at >= CAST(:starts_at AS timestamptz) - interval '1 day'
  AND moment.at < CAST(:ends_at AS timestamptz) + interval '1 day'
  AND (here.is_home OR s.is_success)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
  )

-- name: entries_of_day
-- Entries of the day, and as neighbours those a day before and after; but none that another day's reconciliation has
-- matched.
INSERT INTO pool_entries
SELECT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference, e.booked_at >= :starts_at AND e.booked_at < :ends_at
FROM recon.ledger_entries e
WHERE e.account = :account
  AND e.booked_at >= CAST(:starts_at AS timestamptz) - interval '1 day'
  AND e.booked_at < CAST(:ends_at AS timestamptz) + interval '1 day'
  AND NOT recon.is_withdrawn(e.status)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

-- name: analyze_pools
ANALYZE pool_operations, pool_entries

-- name: decisions
INSERT INTO decided
SELECT d.decision, d.operation_id, d.entry_id, d.match_id, d.shape, d.difference_minor, d.note, d.decided_by,
       bool_and(o.operation_id IS NOT NULL AND e.entry_id IS NOT NULL) OVER same, count(*) OVER same,
       bool_or(home_o.operation_id IS NOT NULL OR home_e.entry_id IS NOT NULL) OVER same
FROM recon.manual_matches_in_force d
LEFT JOIN core.operations o ON o.account = d.account AND o.operation_id = d.operation_id
LEFT JOIN recon.ledger_entries e ON e.account = d.account AND e.entry_id = d.entry_id AND NOT recon.is_withdrawn(e.status)
LEFT JOIN pool_operations home_o ON home_o.operation_id = d.operation_id AND home_o.is_home
LEFT JOIN pool_entries home_e ON home_e.entry_id = d.entry_id AND home_e.is_home
WHERE d.account = :account
WINDOW same AS (PARTITION BY d.match_id, d.decision)
RETURNING decision

-- name: operations_named
-- Operations of any other day that an entry of the day names, or that a person matched with something of the day.
INSERT INTO pool_operations
SELECT DISTINCT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       coalesce(s.is_success, false), coalesce(s.is_success, false) AND coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, core.business_at(o), o.arn, o.rrn, false
FROM (
    SELECT operation_id FROM pool_entries WHERE is_home AND operation_id IS NOT NULL
    UNION ALL
    SELECT operation_id FROM decided WHERE decision = 'match' AND is_whole AND is_of_day
) AS named
JOIN core.operations o ON o.account = :account AND o.operation_id = named.operation_id
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE NOT EXISTS (SELECT FROM pool_operations p WHERE p.operation_id = named.operation_id)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
  )

-- name: entries_naming
-- Entries of any other day that name an operation of the day which no entry so far names.
INSERT INTO pool_entries
SELECT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference, false
FROM pool_operations o
JOIN recon.ledger_entries e ON e.account = :account AND e.operation_id = o.operation_id
WHERE o.is_home AND NOT recon.is_withdrawn(e.status)
  AND NOT EXISTS (SELECT FROM pool_entries p WHERE p.operation_id = o.operation_id)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

-- name: entries_decided
-- Entries of any other day that a person matched with something of the day.
INSERT INTO pool_entries
SELECT DISTINCT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference, false
FROM decided d
JOIN recon.ledger_entries e ON e.account = :account AND e.entry_id = d.entry_id
WHERE d.decision = 'match' AND d.is_whole AND d.is_of_day
  AND NOT EXISTS (SELECT FROM pool_entries p WHERE p.entry_id = e.entry_id)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

-- name: pass_manual
-- What a person matched, before any pass; a match whose operations and entries are not all here waits for its day.
INSERT INTO new_links
SELECT operation_id, entry_id, match_id, 'manual', concat('by ', decided_by), 100, shape
FROM (
    SELECT d.*, count(*) OVER (PARTITION BY d.match_id) AS here
    FROM decided d
    JOIN pool_operations o ON o.operation_id = d.operation_id
    JOIN pool_entries e ON e.entry_id = d.entry_id
    WHERE d.decision = 'match' AND d.is_whole AND d.is_of_day
) AS present
WHERE here = pairs

-- name: withhold_decided
-- What a person matched on another day is no neighbour for the passes.
DELETE FROM pool_operations p USING decided d
WHERE d.decision = 'match' AND d.is_whole AND d.operation_id = p.operation_id AND NOT p.is_home
  AND NOT EXISTS (SELECT FROM new_links n WHERE n.operation_id = p.operation_id);

DELETE FROM pool_entries p USING decided d
WHERE d.decision = 'match' AND d.is_whole AND d.entry_id = p.entry_id AND NOT p.is_home
  AND NOT EXISTS (SELECT FROM new_links n WHERE n.entry_id = p.entry_id)

-- name: mark_opposites
-- The other way round: the signs of both types differ, as where a refund is booked as a sale.
UPDATE pool_entries e SET counts = -1
FROM pool_operations o, core.operation_types ot, core.operation_types et
WHERE o.operation_id = e.operation_id AND ot.operation_type = (o.operation_type COLLATE "default")
  AND et.operation_type = (e.operation_type COLLATE "default") AND ot.sign * et.sign < 0

-- name: pass_operation_exact
-- Pass 1: the entry names the operation, has its amount, and does not book it the other way round.
-- Of several such entries the first; the others book it again.
INSERT INTO new_links
SELECT o.operation_id, min(e.entry_id), 'o' || o.operation_id, 'operation_id', o.operation_id, 100, '1:1'
FROM pool_entries e
JOIN pool_operations o ON o.operation_id = e.operation_id AND o.currency = e.currency AND o.minor = e.minor
WHERE e.counts > 0 AND NOT EXISTS (SELECT FROM new_links n WHERE n.entry_id = e.entry_id)
  AND NOT EXISTS (SELECT FROM new_links n WHERE n.operation_id = o.operation_id)
GROUP BY o.operation_id, o.is_home
HAVING o.is_home OR bool_or(e.is_home)

-- name: drop_unmatched
-- A person parted these: they are left to other passes.
DELETE FROM new_links n USING decided d
WHERE d.decision = 'unmatch' AND d.operation_id = n.operation_id AND d.entry_id = n.entry_id AND n.pass <> 'manual'

-- name: start_left
INSERT INTO left_operations
SELECT * FROM pool_operations o WHERE NOT EXISTS (SELECT FROM new_links n WHERE n.operation_id = o.operation_id);

INSERT INTO left_entries
SELECT * FROM pool_entries e WHERE NOT EXISTS (SELECT FROM new_links n WHERE n.entry_id = e.entry_id);

ANALYZE left_operations, left_entries, new_links

-- name: pass_operation_group
-- Pass 1, amounts aside: all entries in one currency that name the operation are its bookings (the operation's
-- currency if there is one; sums never mix currencies).
INSERT INTO new_links
SELECT operation_id, entry_id, 'o' || operation_id, 'operation_id', operation_id, 100,
       CASE WHEN count(*) OVER (PARTITION BY operation_id) = 1 THEN '1:1' ELSE '1:n' END
FROM (
    SELECT e.operation_id, e.entry_id, e.currency,
           first_value(e.currency) OVER (
               PARTITION BY e.operation_id ORDER BY e.currency IS NOT DISTINCT FROM o.currency DESC, e.currency
           ) AS chosen
    FROM left_entries e
    JOIN left_operations o ON o.operation_id = e.operation_id
    WHERE o.is_home OR e.is_home
) AS named
WHERE currency = chosen

-- name: shrink
-- What a pass has matched is no longer left. A temporary table has no statistics until it is analyzed; without them the
-- plans are loops.
DELETE FROM left_operations o USING new_links n WHERE n.operation_id = o.operation_id;

DELETE FROM left_entries e USING new_links n WHERE n.entry_id = e.entry_id;

ANALYZE left_operations, left_entries, new_links

-- name: payment_entries
-- Entries of any other day of the payments whose operations are still left.
WITH brought AS (
    INSERT INTO pool_entries
    SELECT DISTINCT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor,
           e.fee_minor, e.operation_id, e.project_id, e.payment_id, e.reference, false
    FROM left_operations o
    JOIN recon.ledger_entries e ON e.account = :account AND e.payment_id = (o.payment_id COLLATE "default")
        AND e.operation_type = (o.operation_type COLLATE "default")
    WHERE o.is_home AND o.is_required AND e.operation_id IS NULL AND NOT recon.is_withdrawn(e.status)
      AND (e.booked_at < CAST(:starts_at AS timestamptz) - interval '1 day'
        OR e.booked_at >= CAST(:ends_at AS timestamptz) + interval '1 day')
      AND NOT EXISTS (
          SELECT FROM recon.matches m
          WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
      )
    RETURNING *
)
INSERT INTO left_entries SELECT * FROM brought

-- name: payment_operations
-- Successful operations of any other day of the payments whose entries are still left.
WITH brought AS (
    INSERT INTO pool_operations
    SELECT DISTINCT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
           true, coalesce(t.is_money, true), o.sum_initial_currency, o.sum_initial_amount,
           core.business_at(o), o.arn, o.rrn, false
    FROM left_entries e
    JOIN core.operations o ON o.account = :account AND o.payment_id = (e.payment_id COLLATE "default")
        AND o.operation_type = (e.operation_type COLLATE "default")
    JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
    LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
    WHERE e.is_home AND e.operation_id IS NULL
      AND (core.business_at(o) < CAST(:starts_at AS timestamptz) - interval '1 day'
        OR core.business_at(o) >= CAST(:ends_at AS timestamptz) + interval '1 day')
      AND NOT EXISTS (SELECT FROM pool_operations p WHERE p.operation_id = o.operation_id)
      AND NOT EXISTS (
          SELECT FROM recon.matches m
          WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
      )
    RETURNING *
)
INSERT INTO left_operations SELECT * FROM brought

-- name: fill_projects
-- An entry without a project gets it, where the payment id tells which.
UPDATE left_entries e SET project_id = known.project_id
FROM (
    SELECT payment_id, min(project_id) AS project_id FROM left_operations
    GROUP BY payment_id HAVING count(DISTINCT project_id) = 1
) AS known
WHERE e.project_id IS NULL AND e.operation_id IS NULL AND e.payment_id = known.payment_id

-- name: pass_payment_exact
-- Pass 2: project, payment id and type, with status and amount alike; several equal ones in the order of time.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'payment',
       concat_ws('/', o.project_id, o.payment_id, o.operation_type), 90, '1:1'
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY payment_id, project_id, operation_type, operation_status, currency, minor ORDER BY at, operation_id
    ) AS place
    FROM left_operations WHERE payment_id IS NOT NULL
) AS o
JOIN (
    SELECT *, row_number() OVER (
        PARTITION BY payment_id, project_id, operation_type, status, currency, minor ORDER BY booked_at, entry_id
    ) AS place
    FROM left_entries WHERE payment_id IS NOT NULL AND operation_id IS NULL
) AS e USING (payment_id, project_id, operation_type, currency, minor, place)
WHERE o.operation_status = e.status AND (o.is_home OR e.is_home)

-- name: pass_payment_group
-- Pass 2, amounts aside: what is left of a payment and type. One against several if the sums are equal; else in the
-- order of time. Operations that did not succeed count only where none did, and then the last one.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id,
       CASE WHEN pairs.shape = 'n:1' THEN 'e' || e.entry_id ELSE 'o' || o.operation_id END, 'payment',
       concat_ws('/', o.project_id, o.payment_id, o.operation_type), 80, pairs.shape
FROM (
    SELECT *, count(*) OVER payment AS many, sum(minor) OVER payment AS total, bool_or(is_home) OVER payment AS any_home,
           min(currency) OVER payment AS first_currency, max(currency) OVER payment AS last_currency,
           row_number() OVER (PARTITION BY payment_id, project_id, operation_type ORDER BY at, operation_id) AS place
    FROM (
        SELECT *, bool_or(is_success) OVER (PARTITION BY payment_id, project_id, operation_type) AS any_success,
               row_number() OVER (
                   PARTITION BY payment_id, project_id, operation_type ORDER BY at DESC, operation_id DESC
               ) AS from_last
        FROM left_operations WHERE payment_id IS NOT NULL
    ) AS tried
    WHERE is_success OR (NOT any_success AND from_last = 1)
    WINDOW payment AS (PARTITION BY payment_id, project_id, operation_type)
) AS o
JOIN (
    SELECT *, count(*) OVER payment AS many, sum(minor) OVER payment AS total, bool_or(is_home) OVER payment AS any_home,
           min(currency) OVER payment AS first_currency, max(currency) OVER payment AS last_currency,
           row_number() OVER (PARTITION BY payment_id, project_id, operation_type ORDER BY booked_at, entry_id) AS place
    FROM left_entries WHERE payment_id IS NOT NULL AND operation_id IS NULL
    WINDOW payment AS (PARTITION BY payment_id, project_id, operation_type)
) AS e USING (payment_id, project_id, operation_type)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN o.first_currency <> o.last_currency OR e.first_currency <> e.last_currency
            OR o.first_currency <> e.first_currency OR o.total <> e.total OR (o.many = 1) = (e.many = 1) THEN '1:1'
        WHEN o.many = 1 THEN '1:n'
        ELSE 'n:1' END AS shape
) AS pairs
WHERE (pairs.shape <> '1:1' OR o.place = e.place) AND (o.any_home OR e.any_home)

-- name: pass_reference_exact
-- Pass 3: ARN (then RRN) and amount; several equal ones in the order of time.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'reference', o.reference, 75, '1:1'
FROM (
    SELECT *, row_number() OVER (PARTITION BY reference, operation_type, currency, minor ORDER BY at, operation_id) AS place
    FROM (SELECT *, CASE WHEN :reference = 'arn' THEN arn ELSE rrn END AS reference FROM left_operations) AS named
    WHERE reference IS NOT NULL AND is_success
) AS o
JOIN (
    SELECT *, row_number() OVER (
        PARTITION BY reference, operation_type, currency, minor ORDER BY booked_at, entry_id
    ) AS place
    FROM left_entries WHERE reference IS NOT NULL AND operation_id IS NULL
) AS e USING (reference, operation_type, currency, minor, place)
WHERE o.is_home OR e.is_home

-- name: pass_reference_group
-- Pass 3, in sums: one entry for a batch of operations with its reference, or one operation booked in parts.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id,
       CASE WHEN e.many = 1 THEN 'e' || e.entry_id ELSE 'o' || o.operation_id END, 'reference', o.reference, 75,
       CASE WHEN e.many = 1 THEN 'n:1' ELSE '1:n' END
FROM (
    SELECT *, count(*) OVER batch AS many, sum(minor) OVER batch AS total, bool_or(is_home) OVER batch AS any_home
    FROM (SELECT *, CASE WHEN :reference = 'arn' THEN arn ELSE rrn END AS reference FROM left_operations) AS named
    WHERE reference IS NOT NULL AND is_success
    WINDOW batch AS (PARTITION BY reference, operation_type, currency)
) AS o
JOIN (
    SELECT *, count(*) OVER batch AS many, sum(minor) OVER batch AS total, bool_or(is_home) OVER batch AS any_home
    FROM left_entries WHERE reference IS NOT NULL AND operation_id IS NULL
    WINDOW batch AS (PARTITION BY reference, operation_type, currency)
) AS e USING (reference, operation_type, currency, total)
WHERE (o.many = 1) <> (e.many = 1) AND (o.any_home OR e.any_home)

-- name: pass_amount_time
-- Pass 4: amount, currency, type and a quarter of an hour, for entries that name nothing. Run again with the quarters
-- shifted by half, so that no edge parts a pair; with the project first, for entries that know it.
-- Only what both sides have is sorted.
WITH timed_operations AS NOT MATERIALIZED (
    SELECT operation_id, at, is_home, operation_type, currency, minor,
           floor((extract(epoch FROM at) + :shift) / 900) AS quarter,
           CASE WHEN :by_project THEN project_id ELSE '' END AS project
    FROM left_operations
    WHERE is_required
), timed_entries AS NOT MATERIALIZED (
    SELECT entry_id, booked_at, is_home, operation_type, currency, minor,
           floor((extract(epoch FROM booked_at) + :shift) / 900) AS quarter,
           CASE WHEN :by_project THEN project_id ELSE '' END AS project
    FROM left_entries
    WHERE operation_id IS NULL AND payment_id IS NULL AND reference IS NULL AND NOT is_date_only
      AND (project_id IS NOT NULL) = :by_project
)
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'amount_time',
       concat_ws('/', operation_type, currency, minor, to_char(to_timestamp(quarter * 900), 'YYYY-MM-DD HH24:MI')),
       CASE WHEN o.many = 1 AND e.many = 1 THEN 60 ELSE 50 END, '1:1'
FROM (
    SELECT *, row_number() OVER (fits ORDER BY at, operation_id) AS place, count(*) OVER fits AS many
    FROM timed_operations
    WHERE (operation_type, currency, minor) IN (SELECT operation_type, currency, minor FROM timed_entries)
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor, quarter)
) AS o
JOIN (
    SELECT *, row_number() OVER (fits ORDER BY booked_at, entry_id) AS place, count(*) OVER fits AS many
    FROM timed_entries
    WHERE (operation_type, currency, minor) IN (SELECT operation_type, currency, minor FROM timed_operations)
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor, quarter)
) AS e USING (project, operation_type, currency, minor, quarter, place)
WHERE o.is_home OR e.is_home

-- name: pass_amount_day
-- Pass 4 for entries of the day whose time is not known: the whole day instead of a quarter of an hour.
WITH day_operations AS NOT MATERIALIZED (
    SELECT operation_id, at, operation_type, currency, minor, CASE WHEN :by_project THEN project_id ELSE '' END AS project
    FROM left_operations
    WHERE is_required AND is_home
), day_entries AS NOT MATERIALIZED (
    SELECT entry_id, operation_type, currency, minor, CASE WHEN :by_project THEN project_id ELSE '' END AS project
    FROM left_entries
    WHERE operation_id IS NULL AND payment_id IS NULL AND reference IS NULL AND is_date_only AND is_home
      AND (project_id IS NOT NULL) = :by_project
)
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'amount_time',
       concat_ws('/', operation_type, currency, minor, CAST(:day AS date)),
       CASE WHEN o.many = 1 AND e.many = 1 THEN 60 ELSE 50 END, '1:1'
FROM (
    SELECT *, row_number() OVER (fits ORDER BY at, operation_id) AS place, count(*) OVER fits AS many
    FROM day_operations
    WHERE (operation_type, currency, minor) IN (SELECT operation_type, currency, minor FROM day_entries)
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor)
) AS o
JOIN (
    SELECT *, row_number() OVER (fits ORDER BY entry_id) AS place, count(*) OVER fits AS many
    FROM day_entries
    WHERE (operation_type, currency, minor) IN (SELECT operation_type, currency, minor FROM day_operations)
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor)
) AS e USING (project, operation_type, currency, minor, place)

-- name: drop_matches
-- Matches of the day that no longer hold.
DELETE FROM recon.matches m
WHERE m.account = :account AND m.business_date = :day
  AND NOT EXISTS (
      SELECT FROM new_links n
      WHERE n.operation_id = m.operation_id AND n.entry_id = m.entry_id AND n.match_id = m.match_id
        AND n.pass = m.pass AND n.match_key = m.match_key AND n.score = m.score AND n.shape = m.shape
  )

-- name: save_matches
INSERT INTO recon.matches (account, operation_id, entry_id, match_id, business_date, pass, match_key, score, shape)
SELECT :account, n.operation_id, n.entry_id, n.match_id, :day, n.pass, n.match_key, n.score, n.shape
FROM new_links n
WHERE NOT EXISTS (
    SELECT FROM recon.matches m
    WHERE m.account = :account AND m.business_date = :day
      AND m.operation_id = n.operation_id AND m.entry_id = n.entry_id
)

-- name: figures
-- What the passes found, and how much of the day found its other side (matches made by other days included).
SELECT (SELECT count(*) FROM pool_operations WHERE is_home) AS operations,
       (SELECT count(*) FROM pool_operations WHERE is_home AND is_required) AS operations_required,
       (SELECT count(*) FROM pool_entries WHERE is_home) AS entries,
       (SELECT count(*) FROM left_operations WHERE is_home AND is_required) AS operations_alone,
       (SELECT count(*) FROM left_entries WHERE is_home) AS entries_alone,
       (SELECT coalesce(jsonb_object_agg(pass, matches), '{}')
        FROM (SELECT pass, count(DISTINCT match_id) AS matches FROM new_links GROUP BY pass) AS passes) AS matches,
       (SELECT coalesce(jsonb_object_agg(break_type, breaks), '{}')
        FROM (SELECT break_type, count(*) AS breaks FROM found_breaks GROUP BY break_type) AS types) AS breaks

-- name: chosen_operations
-- The operations named, whether a match has them, and their business day.
SELECT o.operation_id, o.sum_initial_currency AS currency, o.sum_initial_amount AS minor,
       core.business_date(core.business_at(o)) AS business_date,
       (SELECT min(m.entry_id) FROM recon.matches m
        WHERE m.account = o.account AND m.operation_id = o.operation_id) AS matched_with
FROM core.operations o
WHERE o.account = :account AND o.operation_id = ANY (CAST(:operations AS text[]))
ORDER BY o.operation_id COLLATE "C"

-- name: chosen_entries
-- The entries named, whether a match has them, and their business day.
SELECT e.entry_id, e.currency, e.amount_minor AS minor, core.business_date(e.booked_at) AS business_date,
       recon.is_withdrawn(e.status) AS is_withdrawn,
       (SELECT min(m.operation_id) FROM recon.matches m
        WHERE m.account = e.account AND m.entry_id = e.entry_id) AS matched_with
FROM recon.ledger_entries e
WHERE e.account = :account AND e.entry_id = ANY (CAST(:entries AS text[]))
ORDER BY e.entry_id COLLATE "C"

-- name: decisions_in_force
-- The decisions that stand on any of these operations and entries.
SELECT operation_id, entry_id, decision, match_id FROM recon.manual_matches_in_force
WHERE account = :account AND decision = 'match'
  AND (operation_id = ANY (CAST(:operations AS text[])) OR entry_id = ANY (CAST(:entries AS text[])))

-- name: pairs_of_match
-- The pairs of the matches that have this operation and this entry.
SELECT p.operation_id, p.entry_id, p.match_id, p.shape, p.business_date
FROM recon.matches m
JOIN recon.matches p ON p.account = m.account AND p.match_id = m.match_id AND p.business_date = m.business_date
WHERE m.account = :account AND m.operation_id = :operation AND m.entry_id = :entry
ORDER BY p.operation_id, p.entry_id

-- name: add_decision
INSERT INTO recon.manual_matches (
    account, decision, operation_id, entry_id, match_id, shape, difference_minor, reason, note, decided_by
)
VALUES (:account, :decision, :operation_id, :entry_id, :match_id, :shape, :difference, :reason, :note, :by)

-- name: days_reconciled
-- Of these days, and the days that found a break of these operations or entries, those that were reconciled.
SELECT DISTINCT r.business_date FROM recon.runs r
WHERE r.account = :account AND r.leg = 'books'
  AND (r.business_date = ANY (CAST(:days AS date[])) OR r.business_date IN (
      SELECT b.reconciled_date FROM recon.breaks b
      WHERE b.account = :account AND b.state <> 'resolved'
        AND (b.operation_id = ANY (CAST(:operations AS text[])) OR b.entry_id = ANY (CAST(:entries AS text[])))))
ORDER BY r.business_date

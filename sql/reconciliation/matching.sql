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
           SELECT FROM core.operations
           WHERE account = :account
             AND operation_completed_at >= core.business_day_starts_at(CAST(:day AS date) + 1)
       ) AS platform_goes_on

-- name: table_operations
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
) ON COMMIT DROP

-- name: table_entries
-- The entries that can be matched.
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
    is_home         boolean NOT NULL
) ON COMMIT DROP

-- name: table_links
-- The pairs found by the passes.
CREATE TEMPORARY TABLE new_links (
    operation_id  text COLLATE "C" NOT NULL,
    entry_id      text COLLATE "C" NOT NULL,
    match_id      text COLLATE "C" NOT NULL,
    pass          text NOT NULL,
    match_key     text NOT NULL,
    score         smallint NOT NULL,
    shape         text NOT NULL
) ON COMMIT DROP

-- name: table_left_operations
CREATE TEMPORARY TABLE left_operations (LIKE pool_operations) ON COMMIT DROP

-- name: table_left_entries
CREATE TEMPORARY TABLE left_entries (LIKE pool_entries) ON COMMIT DROP

-- name: table_found
-- The breaks as found now.
CREATE TEMPORARY TABLE found_breaks (
    break_key          text NOT NULL,
    business_date      date NOT NULL,
    break_type         text NOT NULL,
    operation_id       text,
    entry_id           text,
    balance_name       text,
    currency           text,
    amount_minor       bigint,
    platform_currency  text,
    platform_minor     bigint,
    platform_status    text,
    ledger_currency    text,
    ledger_minor       bigint,
    ledger_status      text,
    detail             text NOT NULL,
    excuse             text
) ON COMMIT DROP

-- name: operations_of_day
-- Operations of the day, but those that another day's reconciliation has matched.
INSERT INTO pool_operations
SELECT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       coalesce(s.is_success, false), coalesce(s.is_success, false) AND coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, coalesce(o.operation_completed_at, o.operation_created_at),
       o.arn, o.rrn, true
FROM core.operations o
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE o.account = :account
  AND ((o.operation_completed_at >= :starts_at AND o.operation_completed_at < :ends_at)
    OR (o.operation_completed_at IS NULL AND o.operation_created_at >= :starts_at AND o.operation_created_at < :ends_at))
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
  )

-- name: entries_of_day
-- Entries of the day, but those that another day's reconciliation has matched.
INSERT INTO pool_entries
SELECT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference, true
FROM recon.ledger_entries e
WHERE e.account = :account AND e.booked_at >= :starts_at AND e.booked_at < :ends_at
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

-- name: operations_nearby
-- Successful operations a day before and after that have no match yet: the books may have them on this day.
INSERT INTO pool_operations
SELECT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       true, coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, o.operation_completed_at, o.arn, o.rrn, false
FROM core.operations o
JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE o.account = :account
  AND o.operation_completed_at >= CAST(:starts_at AS timestamptz) - interval '1 day'
  AND o.operation_completed_at < CAST(:ends_at AS timestamptz) + interval '1 day'
  AND (o.operation_completed_at < :starts_at OR o.operation_completed_at >= :ends_at)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = o.account AND m.operation_id = o.operation_id AND m.business_date <> :day
  )

-- name: entries_nearby
-- Entries a day before and after that have no match yet: the platform may have them on this day.
INSERT INTO pool_entries
SELECT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor, e.fee_minor,
       e.operation_id, e.project_id, e.payment_id, e.reference, false
FROM recon.ledger_entries e
WHERE e.account = :account
  AND e.booked_at >= CAST(:starts_at AS timestamptz) - interval '1 day'
  AND e.booked_at < CAST(:ends_at AS timestamptz) + interval '1 day'
  AND (e.booked_at < :starts_at OR e.booked_at >= :ends_at)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

-- name: operations_named
-- Operations of any other day that an entry of the day names.
INSERT INTO pool_operations
SELECT o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
       coalesce(s.is_success, false), coalesce(s.is_success, false) AND coalesce(t.is_money, true),
       o.sum_initial_currency, o.sum_initial_amount, coalesce(o.operation_completed_at, o.operation_created_at),
       o.arn, o.rrn, false
FROM (
    SELECT DISTINCT e.operation_id FROM pool_entries e
    WHERE e.is_home AND e.operation_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM pool_operations p WHERE p.operation_id = e.operation_id)
) AS named
JOIN core.operations o ON o.account = :account AND o.operation_id = named.operation_id
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
WHERE NOT EXISTS (
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
WHERE o.is_home
  AND NOT EXISTS (SELECT FROM pool_entries p WHERE p.operation_id = o.operation_id)
  AND NOT EXISTS (
      SELECT FROM recon.matches m
      WHERE m.account = e.account AND m.entry_id = e.entry_id AND m.business_date <> :day
  )

-- name: pass_operation_exact
-- Pass 1: the entry names the operation, and has its amount. Of several such entries the first; the others book it again.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'operation_id', o.operation_id, 100, '1:1'
FROM (
    SELECT operation_id, currency, minor, min(entry_id) AS entry_id, bool_or(is_home) AS is_home
    FROM pool_entries WHERE operation_id IS NOT NULL
    GROUP BY operation_id, currency, minor
) AS e
JOIN pool_operations o ON o.operation_id = e.operation_id AND o.currency = e.currency AND o.minor = e.minor
WHERE o.is_home OR e.is_home

-- name: left_operations
INSERT INTO left_operations
SELECT * FROM pool_operations o WHERE NOT EXISTS (SELECT FROM new_links n WHERE n.operation_id = o.operation_id)

-- name: left_entries
INSERT INTO left_entries
SELECT * FROM pool_entries e WHERE NOT EXISTS (SELECT FROM new_links n WHERE n.entry_id = e.entry_id)

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

-- name: shrink_operations
DELETE FROM left_operations o USING new_links n WHERE n.operation_id = o.operation_id

-- name: shrink_entries
DELETE FROM left_entries e USING new_links n WHERE n.entry_id = e.entry_id

-- name: payment_entries
-- Entries of any other day of the payments whose operations are still left.
WITH brought AS (
    INSERT INTO pool_entries
    SELECT DISTINCT e.entry_id, e.booked_at, e.is_date_only, e.operation_type, e.status, e.currency, e.amount_minor,
           e.fee_minor, e.operation_id, e.project_id, e.payment_id, e.reference, false
    FROM left_operations o
    JOIN recon.ledger_entries e ON e.account = :account AND e.payment_id = (o.payment_id COLLATE "default")
        AND e.operation_type = (o.operation_type COLLATE "default")
    WHERE o.is_home AND o.is_required AND e.operation_id IS NULL
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
           o.operation_completed_at, o.arn, o.rrn, false
    FROM left_entries e
    JOIN core.operations o ON o.account = :account AND o.payment_id = (e.payment_id COLLATE "default")
        AND o.operation_type = (e.operation_type COLLATE "default")
    JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
    LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
    WHERE e.is_home AND e.operation_id IS NULL
      AND (o.operation_completed_at < CAST(:starts_at AS timestamptz) - interval '1 day'
        OR o.operation_completed_at >= CAST(:ends_at AS timestamptz) + interval '1 day')
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
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'amount_time',
       concat_ws('/', operation_type, currency, minor, to_char(to_timestamp(quarter * 900), 'YYYY-MM-DD HH24:MI')),
       CASE WHEN o.many = 1 AND e.many = 1 THEN 60 ELSE 50 END, '1:1'
FROM (
    SELECT *, row_number() OVER (fits ORDER BY at, operation_id) AS place, count(*) OVER fits AS many
    FROM (
        SELECT *, floor((extract(epoch FROM at) + :shift) / 900) AS quarter,
               CASE WHEN :by_project THEN project_id ELSE '' END AS project
        FROM left_operations WHERE is_required
    ) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor, quarter)
) AS o
JOIN (
    SELECT *, row_number() OVER (fits ORDER BY booked_at, entry_id) AS place, count(*) OVER fits AS many
    FROM (
        SELECT *, floor((extract(epoch FROM booked_at) + :shift) / 900) AS quarter,
               CASE WHEN :by_project THEN project_id ELSE '' END AS project
        FROM left_entries
        WHERE operation_id IS NULL AND payment_id IS NULL AND reference IS NULL AND NOT is_date_only
          AND (project_id IS NOT NULL) = :by_project
    ) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor, quarter)
) AS e USING (project, operation_type, currency, minor, quarter, place)
WHERE o.is_home OR e.is_home

-- name: pass_amount_day
-- Pass 4 for entries of the day whose time is not known: the whole day instead of a quarter of an hour.
INSERT INTO new_links
SELECT o.operation_id, e.entry_id, 'o' || o.operation_id, 'amount_time',
       concat_ws('/', operation_type, currency, minor, CAST(:day AS date)),
       CASE WHEN o.many = 1 AND e.many = 1 THEN 60 ELSE 50 END, '1:1'
FROM (
    SELECT *, row_number() OVER (fits ORDER BY at, operation_id) AS place, count(*) OVER fits AS many
    FROM (SELECT *, CASE WHEN :by_project THEN project_id ELSE '' END AS project FROM left_operations
          WHERE is_required AND is_home) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor)
) AS o
JOIN (
    SELECT *, row_number() OVER (fits ORDER BY entry_id) AS place, count(*) OVER fits AS many
    FROM (
        SELECT *, CASE WHEN :by_project THEN project_id ELSE '' END AS project
        FROM left_entries
        WHERE operation_id IS NULL AND payment_id IS NULL AND reference IS NULL AND is_date_only AND is_home
          AND (project_id IS NOT NULL) = :by_project
    ) AS timed
    WINDOW fits AS (PARTITION BY project, operation_type, currency, minor)
) AS e USING (project, operation_type, currency, minor, place)

-- name: table_compared
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
-- One against several: the several are added up (the passes never put two currencies into one match).
INSERT INTO compared
SELECT n.match_id, min(o.operation_id), min(e.entry_id), min(o.operation_type), max(o.at),
       min(o.currency), CASE WHEN min(n.shape) = 'n:1' THEN sum(o.minor) ELSE max(o.minor) END, min(o.operation_status),
       min(e.currency), CASE WHEN min(n.shape) = '1:n' THEN sum(e.minor) ELSE max(e.minor) END, min(e.status),
       CASE WHEN min(n.shape) = '1:n' THEN sum(e.fee_minor) ELSE max(e.fee_minor) END
FROM new_links n
JOIN pool_operations o ON o.operation_id = n.operation_id
JOIN pool_entries e ON e.entry_id = n.entry_id
WHERE n.shape <> '1:1'
   OR (o.currency, o.minor, o.operation_status) IS DISTINCT FROM (e.currency, e.minor, e.status)
GROUP BY n.match_id

-- name: break_currency
-- currency: the two sides name different currencies; their amounts cannot be compared.
INSERT INTO found_breaks
SELECT 'currency ' || match_id, coalesce(core.business_date(at), CAST(:day AS date)), 'currency', operation_id, entry_id, NULL,
       platform_currency, platform_minor, platform_currency, platform_minor, platform_status,
       ledger_currency, ledger_minor, ledger_status,
       concat('the platform has ', coalesce(platform_currency, 'no currency'), ', the books have ', ledger_currency), NULL
FROM compared
WHERE platform_currency IS DISTINCT FROM ledger_currency

-- name: break_amount
-- amount, rounding or fee: one currency, different amounts. A difference that is exactly the booked fee is a fee break
-- (booked net). One within the tolerance, or of one minor unit, is a rounding break; within the tolerance it is
-- explained by that.
INSERT INTO found_breaks
SELECT kind.name || ' ' || c.match_id, days.day, kind.name, c.operation_id, c.entry_id, NULL,
       c.platform_currency, c.ledger_minor - coalesce(c.platform_minor, 0), c.platform_currency, c.platform_minor,
       c.platform_status, c.ledger_currency, c.ledger_minor, c.ledger_status,
       CASE kind.name WHEN 'fee' THEN 'booked net of the fee' WHEN 'rounding' THEN 'a rounding difference'
                      ELSE 'the amounts differ' END,
       CASE WHEN differing.by <= allowed.minor THEN 'within the tolerance' END
FROM compared c
CROSS JOIN LATERAL (SELECT coalesce(core.business_date(c.at), CAST(:day AS date)) AS day) AS days
CROSS JOIN LATERAL (SELECT abs(c.ledger_minor - coalesce(c.platform_minor, 0)) AS by) AS differing
LEFT JOIN LATERAL (
    SELECT greatest(t.absolute_minor, floor(abs(c.platform_minor) * t.relative_bps / 10000)) AS minor
    FROM recon.tolerances t
    WHERE t.account = :account AND t.currency IN (c.platform_currency, '*') AND t.operation_type IN (c.operation_type, '*')
      AND t.valid_from <= days.day AND (t.valid_to IS NULL OR t.valid_to > days.day)
    ORDER BY t.currency = '*', t.operation_type = '*', t.valid_from DESC
    LIMIT 1
) AS allowed ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN differing.by = c.fee_minor AND c.ledger_minor < c.platform_minor THEN 'fee'
                WHEN differing.by <= greatest(1, allowed.minor) THEN 'rounding' ELSE 'amount' END AS name
) AS kind
WHERE c.platform_currency = c.ledger_currency AND c.platform_minor IS DISTINCT FROM c.ledger_minor

-- name: break_status
-- status: the books hold another outcome than the platform.
INSERT INTO found_breaks
SELECT 'status ' || match_id, coalesce(core.business_date(at), CAST(:day AS date)), 'status', operation_id, entry_id, NULL,
       coalesce(platform_currency, ledger_currency), coalesce(platform_minor, ledger_minor), platform_currency,
       platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
       concat('the platform says ', coalesce(platform_status, 'nothing'), ', the books say ', ledger_status), NULL
FROM compared
WHERE platform_status IS DISTINCT FROM ledger_status

-- name: break_fee
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
    SELECT r.fixed_minor + floor((CAST(o.minor AS numeric) * r.bps + 5000) / 10000) AS fee
    FROM recon.fee_rules r
    WHERE r.account = :account AND r.currency = o.currency AND r.operation_type = o.operation_type
      AND r.valid_from <= days.day AND (r.valid_to IS NULL OR r.valid_to > days.day)
    ORDER BY r.valid_from DESC
    LIMIT 1
) AS rule
WHERE e.fee_minor IS NOT NULL AND e.fee_minor <> rule.fee
  AND EXISTS (SELECT FROM recon.fee_rules WHERE account = :account)

-- name: break_operation_alone
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
        AND twin.operation_completed_at + interval '0' BETWEEN o.at - interval '1 day' AND o.at + interval '1 day'
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

-- name: break_entry_alone
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

-- name: break_orphan_refund
-- orphan_refund: a refund whose payment was never sold, captured or charged, as far as the store knows.
INSERT INTO found_breaks
SELECT 'orphan_refund o' || r.operation_id, CAST(:day AS date), 'orphan_refund', r.operation_id, NULL, NULL,
       r.sum_initial_currency, r.sum_initial_amount, r.sum_initial_currency, r.sum_initial_amount, r.operation_status,
       NULL, NULL, NULL, 'the payment has no successful sale, capture or recurring charge', NULL
FROM core.operations r
JOIN core.operation_statuses s ON s.operation_status = r.operation_status AND s.is_success
WHERE r.account = :account AND r.operation_type = 'refund'
  AND r.operation_completed_at >= :starts_at AND r.operation_completed_at < :ends_at
  AND NOT EXISTS (
      SELECT FROM core.operations c
      JOIN core.operation_types t ON t.operation_type = c.operation_type AND t.sign = 1
      JOIN core.operation_statuses cs ON cs.operation_status = c.operation_status AND cs.is_success
      WHERE c.account = r.account AND c.payment_id = r.payment_id AND c.project_id IS NOT DISTINCT FROM r.project_id
  )

-- name: break_refund_above_capture
-- refund_above_capture: with this refund the payment has given back more than it took, by currency; the amount is
-- this refund's part of that.
INSERT INTO found_breaks
SELECT 'refund_above_capture o' || g.operation_id, CAST(:day AS date), 'refund_above_capture', g.operation_id, NULL, NULL,
       g.sum_initial_currency, least(g.sum_initial_amount, g.refunded - taken.minor), g.sum_initial_currency,
       g.sum_initial_amount, g.operation_status, NULL, NULL, NULL, 'the payment has been refunded more than was captured', NULL
FROM (
    SELECT r.*, sum(r.sum_initial_amount) OVER (
               PARTITION BY r.project_id, r.payment_id, r.sum_initial_currency
               ORDER BY r.operation_completed_at, r.operation_id
           ) AS refunded
    FROM core.operations r
    JOIN core.operation_statuses s ON s.operation_status = r.operation_status AND s.is_success
    WHERE r.account = :account AND r.operation_type = 'refund' AND r.payment_id IN (
        SELECT d.payment_id FROM core.operations d
        WHERE d.account = :account AND d.operation_type = 'refund'
          AND d.operation_completed_at >= :starts_at AND d.operation_completed_at < :ends_at
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
WHERE g.operation_completed_at >= :starts_at AND g.operation_completed_at < :ends_at AND g.refunded > taken.minor

-- name: break_late_change
-- late_change: an operation of a closed day that is no longer what the sealed figures say; by how much success moved.
INSERT INTO found_breaks
SELECT 'late_change ' || r.close_no || ' o' || r.operation_id, r.business_date, 'late_change', r.operation_id, NULL, NULL,
       coalesce(r.currency_before, r.currency_after),
       CASE WHEN r.currency_before <> r.currency_after THEN -coalesce(r.minor_before, 0) * CAST(b.is_success AS integer)
            ELSE coalesce(r.minor_after * CAST(a.is_success AS integer), 0)
               - coalesce(r.minor_before * CAST(b.is_success AS integer), 0) END,
       r.currency_after, r.minor_after, r.status_after, NULL, NULL, NULL,
       concat(r.kind, ' since the day was closed: ', coalesce(r.status_before, 'not there'), ' → ', r.status_after), NULL
FROM recon.restatements r
LEFT JOIN core.operation_statuses a ON a.operation_status = r.status_after
LEFT JOIN core.operation_statuses b ON b.operation_status = r.status_before
WHERE r.account = :account AND r.business_date = :day

-- name: save_breaks
-- A break found again keeps its row. Other figures open it again; found again after it was gone, it is open, or
-- explained if somebody explained these very figures; a tolerance explains, and no longer explains when it is taken back.
INSERT INTO recon.breaks AS b (
    account, break_key, business_date, reconciled_date, break_type, operation_id, entry_id, balance_name, currency,
    amount_minor, platform_currency, platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
    detail, state, owner, note
)
SELECT :account, break_key, business_date, :day, break_type, operation_id, entry_id, balance_name, currency,
       amount_minor, platform_currency, platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
       detail, CASE WHEN excuse IS NULL THEN 'open' ELSE 'explained' END,
       CASE WHEN excuse IS NOT NULL THEN 'reconcile' END, excuse
FROM found_breaks
ORDER BY break_key
ON CONFLICT (account, break_key) DO UPDATE SET
    business_date = excluded.business_date, reconciled_date = excluded.reconciled_date,
    operation_id = excluded.operation_id, entry_id = excluded.entry_id, currency = excluded.currency,
    amount_minor = excluded.amount_minor, platform_currency = excluded.platform_currency,
    platform_minor = excluded.platform_minor, platform_status = excluded.platform_status,
    ledger_currency = excluded.ledger_currency, ledger_minor = excluded.ledger_minor,
    ledger_status = excluded.ledger_status, detail = excluded.detail,
    state = CASE
        WHEN excluded.state = 'explained' THEN 'explained'
        WHEN b.note IS NOT NULL AND b.owner <> 'reconcile' AND (b.amount_minor, b.currency, b.platform_currency,
             b.platform_minor, b.platform_status, b.ledger_currency, b.ledger_minor, b.ledger_status)
            IS NOT DISTINCT FROM (excluded.amount_minor, excluded.currency, excluded.platform_currency,
             excluded.platform_minor, excluded.platform_status, excluded.ledger_currency, excluded.ledger_minor,
             excluded.ledger_status) THEN 'explained'
        ELSE 'open' END,
    owner = CASE WHEN b.owner = 'reconcile' OR b.owner IS NULL THEN excluded.owner ELSE b.owner END,
    note = CASE WHEN b.owner = 'reconcile' OR b.owner IS NULL THEN excluded.note ELSE b.note END,
    changed_at = clock_timestamp(), resolved_at = NULL
WHERE b.state = 'resolved'
   OR (b.owner = 'reconcile' AND excluded.state = 'open')
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

-- name: add_run
INSERT INTO recon.runs (account, business_date, leg, started_at, figures)
VALUES (:account, :day, :leg, :started_at, CAST(:figures AS jsonb))

-- name: join_settings
-- What is found and what is left of a day may be a million rows each, whatever the statistics of a time say when they
-- were not there: a loop of one over the other takes hours. 'off' keeps the planner from it, for this transaction.
SELECT set_config('enable_nestloop', :loops, true)

-- name: analyze_pool_operations
ANALYZE pool_operations

-- name: analyze_pool_entries
ANALYZE pool_entries

-- name: analyze_new_links
ANALYZE new_links

-- name: analyze_left_entries
ANALYZE left_entries

-- name: analyze_left_operations
ANALYZE left_operations

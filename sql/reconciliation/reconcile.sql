-- name: changed_since_closed
-- Closed days of which something has become known since they were last held against the own books.
SELECT DISTINCT s.business_date AS day
FROM recon.restatements s
WHERE s.account = :account AND s.restated_known_at > coalesce((
    SELECT max(r.started_at) FROM recon.runs r
    WHERE r.account = s.account AND r.business_date = s.business_date AND r.leg = 'books'
), '-infinity')
ORDER BY day

-- name: keep_last_observed
-- An operation that two windows met counts as it was observed last.
DELETE FROM staging_operations s
USING staging_operations later
WHERE later.operation_id = s.operation_id AND (later.observed_at, later.ctid) > (s.observed_at, s.ctid);

ANALYZE staging_operations

-- name: compare_walk
-- The day ends with the second :last, which the walk shares with the next day, and whose operations are of that one.
-- A fresh walk (staging_operations) against the store: missing, stored otherwise, gone, moved; control totals and
-- digests of both sides. gone: its stored state came from a walk of this very day alone, so that a walk of the day
-- must still meet it, if it had not changed since.
WITH walked AS (
    SELECT s.operation_id, o.operation_id IS NULL AS is_missing,
           o.operation_id IS NOT NULL AND NOT core.same_content(o, s)
               AND NOT core.same_content(o, core.fill_unrequested(o, s, CAST(:unrequested AS text[]))) AS is_different,
           s.sum_initial_currency AS currency, s.operation_type AS type, s.operation_status AS status,
           s.sum_initial_amount AS minor, o.sum_initial_currency AS stored_currency, o.operation_type AS stored_type,
           o.operation_status AS stored_status, o.sum_initial_amount AS stored_minor,
           md5(concat_ws('|', s.operation_id, s.project_id, s.payment_id, s.operation_type, s.operation_status,
               s.sum_initial_amount, s.sum_initial_currency, extract(epoch FROM s.operation_created_at),
               extract(epoch FROM s.operation_completed_at))) AS digest,
           CASE WHEN o.operation_id IS NOT NULL THEN md5(concat_ws('|', o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
               o.sum_initial_amount, o.sum_initial_currency, extract(epoch FROM o.operation_created_at),
               extract(epoch FROM o.operation_completed_at))) END AS stored_digest
    FROM staging_operations s
    LEFT JOIN core.operations o ON o.account = s.account AND o.operation_id = s.operation_id
    WHERE s.operation_completed_at IS DISTINCT FROM CAST(:last AS timestamptz)
), unmet AS (
    SELECT o.operation_id, coalesce(w.interval_from >= :first AND w.interval_to <= :last, false) AS is_gone,
           o.sum_initial_currency AS currency, o.operation_type AS type, o.operation_status AS status,
           o.sum_initial_amount AS minor, md5(concat_ws('|', o.operation_id, o.project_id, o.payment_id, o.operation_type, o.operation_status,
               o.sum_initial_amount, o.sum_initial_currency, extract(epoch FROM o.operation_created_at),
               extract(epoch FROM o.operation_completed_at))) AS digest
    FROM core.operations o
    LEFT JOIN sync.windows w ON w.window_id = o.window_id
    WHERE o.account = :account AND o.operation_completed_at IS NOT NULL
      AND core.business_at(o) >= :first AND core.business_at(o) < :last
      AND NOT EXISTS (SELECT FROM staging_operations s WHERE s.operation_id = o.operation_id)
), stored AS (
    SELECT operation_id, stored_currency AS currency, stored_type AS type, stored_status AS status,
           stored_minor AS minor, stored_digest AS digest
    FROM walked WHERE NOT is_missing
    UNION ALL
    SELECT operation_id, currency, type, status, minor, digest FROM unmet WHERE is_gone
)
SELECT (SELECT count(*) FROM walked) AS rows_walked,
       (SELECT count(*) FROM walked WHERE is_missing) AS rows_missing,
       (SELECT count(*) FROM walked WHERE is_different) AS rows_differing,
       (SELECT count(*) FROM unmet WHERE is_gone) AS rows_gone,
       (SELECT count(*) FROM unmet WHERE NOT is_gone) AS rows_moved,
       (SELECT min(operation_id) FROM (
            SELECT operation_id FROM walked WHERE is_missing OR is_different
            UNION ALL SELECT operation_id FROM unmet WHERE is_gone
        ) AS wrong) AS first_difference,
       (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY currency, type, status), '[]') FROM (
            SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor FROM walked GROUP BY 1, 2, 3
        ) AS t) AS totals_walked,
       (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY currency, type, status), '[]') FROM (
            SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor FROM stored GROUP BY 1, 2, 3
        ) AS t) AS totals_stored,
       (SELECT encode(sha256(convert_to(coalesce(string_agg(digest, '' ORDER BY operation_id), ''), 'UTF8')), 'hex')
        FROM walked) AS digest_walked,
       (SELECT encode(sha256(convert_to(coalesce(string_agg(digest, '' ORDER BY operation_id), ''), 'UTF8')), 'hex')
        FROM stored) AS digest_stored

-- name: add_completeness
INSERT INTO recon.completeness (
    account, business_date, walked_at, interval_from, interval_to, verdict, reason, requests, rows_walked, rows_rejected,
    rows_missing, rows_differing, rows_gone, rows_moved, totals_walked, totals_stored, digest_walked, digest_stored
)
VALUES (
    :account, :day, :walked_at, :first, :last, :verdict, :reason, :requests, :rows_walked, :rows_rejected,
    :rows_missing, :rows_differing, :rows_gone, :rows_moved, CAST(:totals_walked AS jsonb), CAST(:totals_stored AS jsonb),
    :digest_walked, :digest_stored
)

-- name: tables
-- Opening and closing snapshot of each balance of the day; balances of one name and currency are taken together.
CREATE TEMPORARY TABLE day_balances (
    balance_name   text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    opening_at     timestamptz,
    opening_minor  numeric,
    closing_at     timestamptz,
    closing_minor  numeric,
    basis          text
) ON COMMIT DROP;

CREATE TEMPORARY TABLE balance_movements (
    balance_name  text COLLATE "C" NOT NULL,
    currency      text COLLATE "C" NOT NULL,
    operation_id  text COLLATE "C" NOT NULL,
    at            timestamptz NOT NULL,
    minor         numeric NOT NULL
) ON COMMIT DROP;

CREATE TEMPORARY TABLE rolled (LIKE recon.balance_rollforward) ON COMMIT DROP

-- name: snapshots
-- The last snapshot up to the start of the day (no older than two days), and the last one up to its end.
WITH cuts AS (
    SELECT (SELECT max(captured_at) FROM core.balance_snapshots
            WHERE account = :account AND captured_at <= :starts_at
              AND captured_at > CAST(:starts_at AS timestamptz) - interval '2 days') AS opening_at,
           (SELECT max(captured_at) FROM core.balance_snapshots
            WHERE account = :account AND captured_at <= :ends_at AND captured_at > :starts_at) AS closing_at
), opening AS (
    SELECT b.balance_name, b.currency, b.captured_at, sum(b.amount_minor) AS minor
    FROM core.balance_snapshots b JOIN cuts ON b.captured_at = cuts.opening_at
    WHERE b.account = :account GROUP BY 1, 2, 3
), closing AS (
    SELECT b.balance_name, b.currency, b.captured_at, sum(b.amount_minor) AS minor
    FROM core.balance_snapshots b JOIN cuts ON b.captured_at = cuts.closing_at
    WHERE b.account = :account GROUP BY 1, 2, 3
)
INSERT INTO day_balances
SELECT coalesce(o.balance_name, c.balance_name), coalesce(o.currency, c.currency),
       o.captured_at, o.minor, c.captured_at, c.minor, NULL
FROM opening o
FULL JOIN closing c ON c.balance_name = o.balance_name AND c.currency = o.currency

-- name: movements
-- Successful operations from the lag before the opening to the lag after the closing, each with the balances it moves:
-- by rule; without a rule for the balance, payouts drain the balance that has the project's name in its own, or the
-- only balance of their currency.
WITH ruled AS (
    SELECT DISTINCT r.balance_name, r.currency FROM recon.balance_rules r
    WHERE r.account = :account AND r.valid_from <= :day AND (r.valid_to IS NULL OR r.valid_to > :day)
), moved AS (
    SELECT o.operation_id, o.project_id, o.project_name, o.balance_id, o.operation_type, o.operation_completed_at AS at,
           o.sum_initial_currency AS currency, o.sum_initial_amount AS minor
    FROM core.operations o
    JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
    WHERE o.account = :account AND o.sum_initial_amount IS NOT NULL AND o.operation_completed_at IS NOT NULL
      AND core.business_at(o) >= (SELECT min(opening_at) FROM day_balances) - interval '30 minutes'
      AND core.business_at(o) <= (SELECT max(closing_at) FROM day_balances) + interval '30 minutes'
), alone AS (
    SELECT currency FROM day_balances GROUP BY currency HAVING count(*) = 1
)
INSERT INTO balance_movements
SELECT r.balance_name, r.currency, m.operation_id, m.at, sum(r.sign * CAST(m.minor AS numeric))
FROM moved m
JOIN recon.balance_rules r ON r.account = :account AND r.currency = m.currency AND r.operation_type = m.operation_type
    AND (r.project_id IS NULL OR r.project_id = m.project_id) AND (r.balance_id IS NULL OR r.balance_id = m.balance_id)
    AND r.valid_from <= :day AND (r.valid_to IS NULL OR r.valid_to > :day)
GROUP BY r.balance_name, r.currency, m.operation_id, m.at, m.minor
UNION ALL
SELECT b.balance_name, b.currency, m.operation_id, m.at, -CAST(m.minor AS numeric)
FROM moved m
JOIN day_balances b ON b.currency = (m.currency COLLATE "C")
WHERE m.operation_type = 'payout'
  AND NOT EXISTS (SELECT FROM ruled r WHERE (r.balance_name COLLATE "C") = b.balance_name AND (r.currency COLLATE "C") = b.currency)
  AND (m.project_name <> '' AND position(m.project_name IN b.balance_name) > 0
    OR b.currency IN (SELECT (a.currency COLLATE "C") FROM alone a))

-- name: basis
-- Why these operations are taken to move the balance.
UPDATE day_balances b SET basis = CASE
    WHEN EXISTS (
        SELECT FROM recon.balance_rules r
        WHERE r.account = :account AND (r.balance_name COLLATE "C") = b.balance_name
          AND (r.currency COLLATE "C") = b.currency
          AND r.valid_from <= :day AND (r.valid_to IS NULL OR r.valid_to > :day)
    ) THEN 'rule'
    WHEN (SELECT count(*) FROM day_balances other WHERE other.currency = b.currency) = 1 THEN 'only balance of its currency'
    WHEN EXISTS (
        SELECT FROM balance_movements m WHERE m.balance_name = b.balance_name AND m.currency = b.currency
    ) THEN 'project name'
    ELSE 'none' END

-- name: roll_forward
-- Opening + movements = closing, both sides cut at the moments of the snapshots. A residue is lag when the operations
-- nearest to the two cuts, up to 30 minutes away, explain all of it: those before a cut that the snapshot does not
-- show yet, or those after it that it shows already.
WITH sums AS (
    SELECT b.*, coalesce(sum(m.minor), 0) AS movements_minor, count(m.operation_id) AS movements
    FROM day_balances b
    LEFT JOIN balance_movements m ON m.balance_name = b.balance_name AND m.currency = b.currency
        AND m.at > b.opening_at AND m.at <= b.closing_at
    GROUP BY b.balance_name, b.currency, b.opening_at, b.opening_minor, b.closing_at, b.closing_minor, b.basis
), residues AS (
    SELECT s.*, s.closing_minor - s.opening_minor - s.movements_minor AS residue FROM sums s
), late AS (
    SELECT r.balance_name, r.currency, cut.side,
           cut.sign * sum(CASE WHEN m.at <= cut.at THEN -m.minor ELSE m.minor END) OVER (
               PARTITION BY r.balance_name, r.currency, cut.side, m.at <= cut.at
               ORDER BY abs(extract(epoch FROM m.at - cut.at)), m.operation_id
           ) AS shift
    FROM residues r
    CROSS JOIN LATERAL (VALUES ('closing', 1, r.closing_at), ('opening', -1, r.opening_at)) AS cut (side, sign, at)
    JOIN balance_movements m ON m.balance_name = r.balance_name AND m.currency = r.currency
        AND m.at BETWEEN cut.at - interval '30 minutes' AND cut.at + interval '30 minutes'
    WHERE r.residue <> 0
    UNION
    SELECT r.balance_name, r.currency, side, 0 FROM residues r CROSS JOIN (VALUES ('closing'), ('opening')) AS sides (side)
    WHERE r.residue <> 0
)
INSERT INTO rolled (
    account, business_date, balance_name, currency, opening_at, opening_minor, movements_minor, movements,
    closing_at, closing_minor, unexplained_minor, basis, status
)
SELECT :account, :day, r.balance_name, r.currency, r.opening_at, r.opening_minor, r.movements_minor, r.movements,
       r.closing_at, r.closing_minor, r.residue, r.basis,
       CASE WHEN r.opening_at IS NULL THEN 'no opening'
            WHEN r.closing_at IS NULL THEN 'no closing'
            WHEN r.residue = 0 THEN 'explained'
            WHEN EXISTS (
                SELECT FROM late o JOIN late c USING (balance_name, currency)
                WHERE o.balance_name = r.balance_name AND o.currency = r.currency
                  AND o.side = 'opening' AND c.side = 'closing' AND o.shift + c.shift = r.residue
            ) THEN 'lag'
            ELSE 'unexplained' END
FROM residues r

-- name: drop_rolled
DELETE FROM recon.balance_rollforward f
WHERE f.account = :account AND f.business_date = :day AND NOT EXISTS (SELECT FROM rolled r WHERE r = f)

-- name: save_rolled
INSERT INTO recon.balance_rollforward
SELECT * FROM rolled
ON CONFLICT (account, business_date, balance_name, currency) DO NOTHING

-- name: break_balance
-- balance: what neither movements nor lag explain.
INSERT INTO found_breaks
SELECT 'balance ' || CAST(:day AS date) || ' ' || currency || ' ' || balance_name, business_date, 'balance', NULL, NULL,
       balance_name, currency, unexplained_minor, currency, closing_minor, NULL, NULL, NULL, NULL,
       'opening and movements do not give the closing balance', NULL
FROM rolled
WHERE status = 'unexplained'

-- name: figures_balances
SELECT count(*) AS balances, count(*) FILTER (WHERE status = 'explained') AS explained,
       count(*) FILTER (WHERE status = 'lag') AS lag, count(*) FILTER (WHERE status = 'unexplained') AS unexplained,
       count(*) FILTER (WHERE status IN ('no opening', 'no closing')) AS without_snapshot
FROM rolled

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
  AND (CAST(:least_minor AS bigint) IS NULL OR abs(b.amount_minor) >= :least_minor)
  AND (CAST(:most_minor AS bigint) IS NULL OR abs(b.amount_minor) <= :most_minor)
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

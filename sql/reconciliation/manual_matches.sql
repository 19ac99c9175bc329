-- name: operations
-- The operations named, whether a match has them, and their business day.
SELECT o.operation_id, o.sum_initial_currency AS currency, o.sum_initial_amount AS minor,
       core.business_date(coalesce(o.operation_completed_at, o.operation_created_at)) AS business_date,
       (SELECT min(m.entry_id) FROM recon.matches m
        WHERE m.account = o.account AND m.operation_id = o.operation_id) AS matched_with
FROM core.operations o
WHERE o.account = :account AND o.operation_id = ANY (CAST(:operations AS text[]))
ORDER BY o.operation_id COLLATE "C"

-- name: entries
-- The entries named, whether a match has them, and their business day.
SELECT e.entry_id, e.currency, e.amount_minor AS minor, core.business_date(e.booked_at) AS business_date,
       recon.is_withdrawn(e.status) AS is_withdrawn,
       (SELECT min(m.operation_id) FROM recon.matches m
        WHERE m.account = e.account AND m.entry_id = e.entry_id) AS matched_with
FROM recon.ledger_entries e
WHERE e.account = :account AND e.entry_id = ANY (CAST(:entries AS text[]))
ORDER BY e.entry_id COLLATE "C"

-- name: in_force
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

-- name: add
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

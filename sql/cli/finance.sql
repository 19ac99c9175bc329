-- name: day_summary
SELECT DISTINCT ON (leg) leg, figures FROM recon.runs
WHERE account = :account AND business_date = :day
ORDER BY leg, run_no DESC

-- name: day_breaks
SELECT break_type, state, count(*) AS count FROM recon.breaks
WHERE account = :account AND business_date = :day AND state <> 'resolved'
GROUP BY 1, 2 ORDER BY 1, 2

-- name: breaks_list
SELECT b.break_id, b.business_date, b.break_type, b.state, b.age_bucket, b.currency, b.amount_minor, b.operation_id,
       b.entry_id, b.balance_name, b.detail, b.owner, b.note
FROM recon.aged_breaks b
WHERE b.account = :account AND (CAST(:day AS date) IS NULL OR b.business_date = :day)
  AND (b.state = 'open' OR :explained)
ORDER BY b.business_date, b.break_type, b.break_id
LIMIT :most

-- name: break_actor
SELECT set_config('recon.actor', :by, true)

-- name: break_explain
UPDATE recon.breaks SET state = 'explained', owner = :by, note = :note, changed_at = clock_timestamp()
WHERE account = :account AND break_id = :break_id AND state <> 'resolved'
RETURNING break_type, state

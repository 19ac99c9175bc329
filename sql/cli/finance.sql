-- name: day_summary
SELECT DISTINCT ON (leg) leg, figures FROM recon.runs
WHERE account = :account AND business_date = :day
ORDER BY leg, run_no DESC

-- name: day_breaks
SELECT break_type, state, count(*) AS count FROM recon.breaks
WHERE account = :account AND business_date = :day AND state <> 'resolved'
GROUP BY 1, 2 ORDER BY 1, 2

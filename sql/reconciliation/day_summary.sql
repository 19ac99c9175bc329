SELECT DISTINCT ON (leg) leg, figures FROM recon.runs
WHERE account = :account AND business_date = :day
ORDER BY leg, run_no DESC

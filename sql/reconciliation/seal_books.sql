SELECT figures FROM recon.runs
WHERE account = :account AND business_date = :day AND leg = 'books'
ORDER BY run_no DESC
LIMIT 1

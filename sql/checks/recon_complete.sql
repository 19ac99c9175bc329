SELECT business_date, completeness AS verdict
FROM recon.days
WHERE account = :account AND completeness <> 'complete'
ORDER BY business_date DESC

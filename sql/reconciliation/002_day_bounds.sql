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

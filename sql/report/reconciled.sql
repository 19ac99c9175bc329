-- Whether the merchant's books were held against the day, with entries to hold.
SELECT EXISTS (
    SELECT FROM recon.runs r
    WHERE r.account = :account AND r.business_date = :day AND r.leg = 'books'
) AND EXISTS (
    SELECT FROM recon.ledger_entries e
    WHERE e.account = :account
      AND e.booked_at >= core.business_day_starts_at(:day) AND e.booked_at < core.business_day_starts_at(:day + 1)
) AS reconciled

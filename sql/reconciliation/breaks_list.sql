SELECT b.break_id, b.business_date, b.break_type, b.state, b.age_bucket, b.currency, b.amount_minor, b.operation_id,
       b.entry_id, b.balance_name, b.detail, b.owner, b.note
FROM recon.aged_breaks b
WHERE b.account = :account AND (CAST(:day AS date) IS NULL OR b.business_date = :day)
  AND (b.state = 'open' OR :explained)
ORDER BY b.business_date, b.break_type, b.break_id
LIMIT :most

-- The open breaks to look at first: by amount in each currency's own minor units, then by age.
SELECT break_id::text AS break_id, break_type, state, business_date, age_bucket AS age, currency, amount_minor,
       operation_id, coalesce(entry_id, balance_name) AS reference, owner, coalesce(note, detail) AS note
FROM recon.aged_breaks
WHERE account = :account AND business_date <= :day AND state = 'open'
ORDER BY abs(amount_minor) DESC NULLS LAST, age_days DESC, break_id
LIMIT :most

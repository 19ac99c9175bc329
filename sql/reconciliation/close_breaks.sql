-- The day's breaks that are not resolved, each with what a reviewer looks at; not its age, which grows by itself.
SELECT break_type, state, coalesce(operation_id, '') AS operation_id, coalesce(entry_id, '') AS entry_id,
       coalesce(balance_name, '') AS balance_name, currency, amount_minor::text AS minor, owner, note
FROM recon.breaks
WHERE account = :account AND business_date = :day AND state <> 'resolved'
ORDER BY break_id

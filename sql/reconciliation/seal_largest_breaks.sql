SELECT break_id, break_type, state, business_date, operation_id, entry_id, balance_name, currency,
       amount_minor::text AS minor, detail, owner, note
FROM (
    SELECT b.*, row_number() OVER (
        PARTITION BY b.currency ORDER BY abs(b.amount_minor) DESC NULLS LAST, b.break_id
    ) AS place
    FROM recon.breaks b
    WHERE b.account = :account AND b.state <> 'resolved' AND b.business_date <= :day
) AS ranked
WHERE place <= :largest
ORDER BY currency COLLATE "C", place

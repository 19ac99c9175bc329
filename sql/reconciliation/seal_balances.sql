SELECT balance_name, currency, opening_at, opening_minor::text AS opening_minor, movements, movements_minor::text AS movements_minor,
       closing_at, closing_minor::text AS closing_minor, unexplained_minor::text AS unexplained_minor, basis, status
FROM recon.balance_rollforward
WHERE account = :account AND business_date = :day
ORDER BY balance_name COLLATE "C", currency COLLATE "C"

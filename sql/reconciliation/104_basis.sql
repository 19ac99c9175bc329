-- Why these operations are taken to move the balance.
UPDATE day_balances b SET basis = CASE
    WHEN EXISTS (
        SELECT FROM recon.balance_rules r
        WHERE r.account = :account AND (r.balance_name COLLATE "C") = b.balance_name
          AND (r.currency COLLATE "C") = b.currency
          AND r.valid_from <= :day AND (r.valid_to IS NULL OR r.valid_to > :day)
    ) THEN 'rule'
    WHEN (SELECT count(*) FROM day_balances other WHERE other.currency = b.currency) = 1 THEN 'only balance of its currency'
    WHEN EXISTS (
        SELECT FROM balance_movements m WHERE m.balance_name = b.balance_name AND m.currency = b.currency
    ) THEN 'project name'
    ELSE 'none' END

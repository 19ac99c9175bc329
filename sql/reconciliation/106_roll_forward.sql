-- Opening + movements = closing, both sides cut at the moments of the snapshots. A residue is lag when the operations
-- nearest to the two cuts, up to 30 minutes away, explain all of it: those before a cut that the snapshot does not
-- show yet, or those after it that it shows already.
WITH sums AS (
    SELECT b.*, coalesce(sum(m.minor), 0) AS movements_minor, count(m.operation_id) AS movements
    FROM day_balances b
    LEFT JOIN balance_movements m ON m.balance_name = b.balance_name AND m.currency = b.currency
        AND m.at > b.opening_at AND m.at <= b.closing_at
    GROUP BY b.balance_name, b.currency, b.opening_at, b.opening_minor, b.closing_at, b.closing_minor, b.basis
), residues AS (
    SELECT s.*, s.closing_minor - s.opening_minor - s.movements_minor AS residue FROM sums s
), late AS (
    SELECT r.balance_name, r.currency, cut.side,
           cut.sign * sum(CASE WHEN m.at <= cut.at THEN -m.minor ELSE m.minor END) OVER (
               PARTITION BY r.balance_name, r.currency, cut.side, m.at <= cut.at
               ORDER BY abs(extract(epoch FROM m.at - cut.at)), m.operation_id
           ) AS shift
    FROM residues r
    CROSS JOIN LATERAL (VALUES ('closing', 1, r.closing_at), ('opening', -1, r.opening_at)) AS cut (side, sign, at)
    JOIN balance_movements m ON m.balance_name = r.balance_name AND m.currency = r.currency
        AND m.at BETWEEN cut.at - interval '30 minutes' AND cut.at + interval '30 minutes'
    WHERE r.residue <> 0
    UNION
    SELECT r.balance_name, r.currency, side, 0 FROM residues r CROSS JOIN (VALUES ('closing'), ('opening')) AS sides (side)
    WHERE r.residue <> 0
)
INSERT INTO rolled (
    account, business_date, balance_name, currency, opening_at, opening_minor, movements_minor, movements,
    closing_at, closing_minor, unexplained_minor, basis, status
)
SELECT :account, :day, r.balance_name, r.currency, r.opening_at, r.opening_minor, r.movements_minor, r.movements,
       r.closing_at, r.closing_minor, r.residue, r.basis,
       CASE WHEN r.opening_at IS NULL THEN 'no opening'
            WHEN r.closing_at IS NULL THEN 'no closing'
            WHEN r.residue = 0 THEN 'explained'
            WHEN EXISTS (
                SELECT FROM late o JOIN late c USING (balance_name, currency)
                WHERE o.balance_name = r.balance_name AND o.currency = r.currency
                  AND o.side = 'opening' AND c.side = 'closing' AND o.shift + c.shift = r.residue
            ) THEN 'lag'
            ELSE 'unexplained' END
FROM residues r

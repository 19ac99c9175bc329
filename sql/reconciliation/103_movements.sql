-- Successful operations from the lag before the opening to the lag after the closing, each with the balances it moves:
-- by rule; without a rule for the balance, payouts drain the balance that has the project's name in its own, or the
-- only balance of their currency.
WITH ruled AS (
    SELECT DISTINCT r.balance_name, r.currency FROM recon.balance_rules r
    WHERE r.account = :account AND r.valid_from <= :day AND (r.valid_to IS NULL OR r.valid_to > :day)
), moved AS (
    SELECT o.operation_id, o.project_id, o.project_name, o.balance_id, o.operation_type, o.operation_completed_at AS at,
           o.sum_initial_currency AS currency, o.sum_initial_amount AS minor
    FROM core.operations o
    JOIN core.operation_statuses s ON s.operation_status = o.operation_status AND s.is_success
    WHERE o.account = :account AND o.sum_initial_amount IS NOT NULL
      AND o.operation_completed_at >= (SELECT min(opening_at) FROM day_balances) - interval '30 minutes'
      AND o.operation_completed_at <= (SELECT max(closing_at) FROM day_balances) + interval '30 minutes'
), alone AS (
    SELECT currency FROM day_balances GROUP BY currency HAVING count(*) = 1
)
INSERT INTO balance_movements
SELECT r.balance_name, r.currency, m.operation_id, m.at, sum(r.sign) * m.minor
FROM moved m
JOIN recon.balance_rules r ON r.account = :account AND r.currency = m.currency AND r.operation_type = m.operation_type
    AND (r.project_id IS NULL OR r.project_id = m.project_id) AND (r.balance_id IS NULL OR r.balance_id = m.balance_id)
    AND r.valid_from <= :day AND (r.valid_to IS NULL OR r.valid_to > :day)
GROUP BY r.balance_name, r.currency, m.operation_id, m.at, m.minor
UNION ALL
SELECT b.balance_name, b.currency, m.operation_id, m.at, -m.minor
FROM moved m
JOIN day_balances b ON b.currency = (m.currency COLLATE "C")
WHERE m.operation_type = 'payout'
  AND NOT EXISTS (SELECT FROM ruled r WHERE (r.balance_name COLLATE "C") = b.balance_name AND (r.currency COLLATE "C") = b.currency)
  AND (m.project_name <> '' AND position(m.project_name IN b.balance_name) > 0
    OR b.currency IN (SELECT (a.currency COLLATE "C") FROM alone a))

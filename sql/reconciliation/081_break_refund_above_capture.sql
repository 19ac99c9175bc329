-- refund_above_capture: with this refund the payment has given back more than it took, by currency; the amount is
-- this refund's part of that.
INSERT INTO found_breaks
SELECT 'refund_above_capture o' || g.operation_id, CAST(:day AS date), 'refund_above_capture', g.operation_id, NULL, NULL,
       g.sum_initial_currency, least(g.sum_initial_amount, g.refunded - taken.minor), g.sum_initial_currency,
       g.sum_initial_amount, g.operation_status, NULL, NULL, NULL, 'the payment has been refunded more than was captured', NULL
FROM (
    SELECT r.*, sum(r.sum_initial_amount) OVER (
               PARTITION BY r.project_id, r.payment_id, r.sum_initial_currency
               ORDER BY r.operation_completed_at, r.operation_id
           ) AS refunded
    FROM core.operations r
    JOIN core.operation_statuses s ON s.operation_status = r.operation_status AND s.is_success
    WHERE r.account = :account AND r.operation_type = 'refund' AND r.payment_id IN (
        SELECT d.payment_id FROM core.operations d
        WHERE d.account = :account AND d.operation_type = 'refund'
          AND d.operation_completed_at >= :starts_at AND d.operation_completed_at < :ends_at
    )
) AS g
CROSS JOIN LATERAL (
    SELECT sum(c.sum_initial_amount) AS minor
    FROM core.operations c
    JOIN core.operation_types t ON t.operation_type = c.operation_type AND t.sign = 1
    JOIN core.operation_statuses cs ON cs.operation_status = c.operation_status AND cs.is_success
    WHERE c.account = g.account AND c.payment_id = g.payment_id AND c.project_id IS NOT DISTINCT FROM g.project_id
      AND c.sum_initial_currency = g.sum_initial_currency
) AS taken
WHERE g.operation_completed_at >= :starts_at AND g.operation_completed_at < :ends_at AND g.refunded > taken.minor

-- Payments to build.
CREATE TEMPORARY TABLE stale_payments ON COMMIT DROP AS
SELECT DISTINCT account, coalesce(project_id, '(none)') AS project_id, payment_id
FROM touched_states
WHERE payment_id IS NOT NULL

-- An entry without a project gets it, where the payment id tells which.
UPDATE left_entries e SET project_id = known.project_id
FROM (
    SELECT payment_id, min(project_id) AS project_id FROM left_operations
    GROUP BY payment_id HAVING count(DISTINCT project_id) = 1
) AS known
WHERE e.project_id IS NULL AND e.operation_id IS NULL AND e.payment_id = known.payment_id

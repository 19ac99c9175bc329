-- All operations of projects that are counted for another account now: their days and payments leave one, enter the other.
INSERT INTO touched_states
SELECT o.account, o.project_id, o.payment_id,
       coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at)
FROM changed_projects c
JOIN core.operations o ON o.account = c.account AND o.project_id = c.project_id

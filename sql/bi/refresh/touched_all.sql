-- All operations, for a full build.
CREATE TEMPORARY TABLE touched_states ON COMMIT DROP AS
SELECT o.account, o.project_id, o.payment_id,
       coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS business_at
FROM core.operations o

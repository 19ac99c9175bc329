-- Operations that the new windows wrote, in every state they ever had: the days and payments of all of these
-- states can have changed.
CREATE TEMPORARY TABLE touched_states ON COMMIT DROP AS
WITH touched AS (
    SELECT o.account, o.operation_id
    FROM new_windows n
    JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
)
SELECT o.account, o.project_id, o.payment_id,
       coalesce(o.operation_completed_at, o.operation_created_at, o.first_seen_at) AS business_at
FROM touched JOIN core.operations o USING (account, operation_id)
UNION ALL
SELECT v.account, v.project_id, v.payment_id,
       coalesce(v.operation_completed_at, v.operation_created_at, v.first_seen_at)
FROM touched JOIN core.operation_versions v USING (account, operation_id)

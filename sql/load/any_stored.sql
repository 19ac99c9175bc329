-- Whether any of these operations is stored already, in whatever state. LIMIT keeps the planner from joining the
-- other way round: one look into the primary key for each, until the first is found.
SELECT EXISTS (
    SELECT FROM unnest(CAST(:operation_ids AS text[])) AS met (operation_id)
    CROSS JOIN LATERAL (
        SELECT FROM core.operations o
        WHERE o.account = :account AND o.operation_id = met.operation_id COLLATE "C"
        LIMIT 1
    ) AS stored
) AS found

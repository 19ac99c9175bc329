-- Whether any of these documents is stored already, in whatever state. LIMIT keeps the planner from joining the
-- other way round: one look into the primary key for each, until the first is found.
SELECT EXISTS (
    SELECT FROM unnest(CAST(:keys AS text[])) AS met (key)
    CROSS JOIN LATERAL (
        SELECT FROM core.documents d
        WHERE d.account = :account AND d.stream = :stream AND d.document_key = met.key COLLATE "C"
        LIMIT 1
    ) AS stored
) AS found

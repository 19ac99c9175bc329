-- Whether any of these reports of fraud is stored already, in whatever state. LIMIT keeps the planner from joining the
-- other way round: one look into the primary key for each, until the first is found.
SELECT EXISTS (
    SELECT FROM unnest(CAST(:keys AS text[])) AS met (key)
    CROSS JOIN LATERAL (
        SELECT FROM core.fraud_reports r
        WHERE r.account = :account AND r.report_key = met.key COLLATE "C"
        LIMIT 1
    ) AS stored
) AS found

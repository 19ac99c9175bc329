-- Projects of the new windows' states, current and former, and of all reports of fraud, which are few.
INSERT INTO core.account_projects (account, project_id, first_committed_at)
SELECT account, project_id, min(committed_at)
FROM (
    SELECT n.account, o.project_id, n.committed_at
    FROM new_windows n JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
    UNION
    SELECT n.account, v.project_id, n.committed_at
    FROM new_windows n JOIN core.operation_versions v ON v.window_id = n.window_id AND v.account = n.account
    UNION
    SELECT f.account, f.project_id, w.committed_at
    FROM core.fraud_reports f JOIN sync.windows w USING (window_id)
    UNION
    SELECT v.account, v.project_id, w.committed_at
    FROM core.fraud_report_versions v JOIN sync.windows w USING (window_id)
) AS met
WHERE project_id IS NOT NULL
GROUP BY account, project_id
ON CONFLICT (account, project_id) DO UPDATE SET first_committed_at = excluded.first_committed_at
WHERE excluded.first_committed_at < core.account_projects.first_committed_at

-- Projects of the new windows' states, current and former; a name counts from the last time it was observed.
INSERT INTO bi.dim_project (account, project_id, project_name, name_observed_at)
SELECT DISTINCT ON (account, project_id) account, project_id, project_name,
       CASE WHEN project_name IS NOT NULL THEN observed_at END
FROM (
    SELECT o.account, coalesce(o.project_id, '(none)') AS project_id, o.project_name, max(o.observed_at) AS observed_at
    FROM new_windows n JOIN core.operations o ON o.window_id = n.window_id AND o.account = n.account
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT v.account, coalesce(v.project_id, '(none)'), v.project_name, max(v.observed_at)
    FROM new_windows n JOIN core.operation_versions v ON v.window_id = n.window_id AND v.account = n.account
    GROUP BY 1, 2, 3
) AS met
ORDER BY account, project_id, project_name IS NULL, observed_at DESC, project_name DESC
ON CONFLICT (account, project_id) DO UPDATE
SET project_name = excluded.project_name, name_observed_at = excluded.name_observed_at
WHERE excluded.project_name IS NOT NULL
  AND (bi.dim_project.name_observed_at IS NULL
       OR (excluded.name_observed_at, excluded.project_name) > (bi.dim_project.name_observed_at, bi.dim_project.project_name))

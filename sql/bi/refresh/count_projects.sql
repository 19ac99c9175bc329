UPDATE core.account_projects p SET is_counted = c.is_counted
FROM changed_projects c
WHERE c.account = p.account AND c.project_id = p.project_id
RETURNING p.account, p.project_id

INSERT INTO core.project_owners (project_id, account)
SELECT project_id, account
FROM unnest(CAST(:projects AS text[]), CAST(:accounts AS text[])) AS named (project_id, account)
ON CONFLICT DO NOTHING

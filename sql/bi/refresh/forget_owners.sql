DELETE FROM core.project_owners o
WHERE NOT EXISTS (
    SELECT FROM unnest(CAST(:projects AS text[]), CAST(:accounts AS text[])) AS named (project_id, account)
    WHERE named.project_id = o.project_id AND named.account = o.account)

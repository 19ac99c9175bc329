-- Projects whose account in the marts is another now: the owner that the settings name, if its token has shown the
-- project, else the account whose first window with it was committed first.
CREATE TEMPORARY TABLE changed_projects ON COMMIT DROP AS
SELECT account, project_id, account = owner AS is_counted
FROM (
    SELECT p.account, p.project_id, p.is_counted,
           first_value(p.account) OVER (
               PARTITION BY p.project_id
               ORDER BY o.account IS NULL, p.first_committed_at, p.account) AS owner
    FROM core.account_projects p
    LEFT JOIN core.project_owners o ON o.account = p.account AND o.project_id = p.project_id
) AS decided
WHERE is_counted <> (account = owner)

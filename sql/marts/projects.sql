-- name: shared_projects
-- Projects that the tokens of several accounts have shown: the operations of each, and how many of them the account
-- for which the marts count the project does not hold. is_counted is NULL while the marts were not built since.
WITH of_account AS (
    SELECT account, project_id, count(*) AS operations
    FROM core.operations
    WHERE project_id IS NOT NULL
    GROUP BY account, project_id
), seen AS (
    SELECT account, project_id, coalesce(c.operations, 0) AS operations, p.is_counted,
           count(*) OVER (PARTITION BY project_id) AS accounts
    FROM of_account c
    FULL JOIN core.account_projects p USING (account, project_id)
)
SELECT s.project_id, s.account, s.operations, s.is_counted,
       CASE WHEN s.is_counted THEN 0 ELSE (
           SELECT count(*)
           FROM core.operations o
           JOIN seen owner ON owner.project_id = o.project_id AND owner.is_counted
           WHERE o.account = s.account AND o.project_id = s.project_id
             AND NOT EXISTS (
                 SELECT FROM core.operations c
                 WHERE c.account = owner.account AND c.operation_id = o.operation_id)
       ) END AS only_here
FROM seen s
WHERE s.accounts > 1
ORDER BY s.project_id, s.is_counted DESC NULLS LAST, s.account

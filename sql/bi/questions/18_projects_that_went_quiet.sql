-- Which projects went quiet?
-- Projects with operations in the last 30 days, and none yesterday.
SELECT p.account, p.project_id, p.project_name, max(o.business_date) AS last_date, sum(o.operations) AS operations
FROM bi.dim_project p
JOIN bi.daily_overview o USING (account, project_id)
WHERE o.business_date >= bi.today() - 30 AND o.business_date < bi.today()
GROUP BY p.account, p.project_id, p.project_name
HAVING max(o.business_date) < bi.today() - 1
ORDER BY last_date, p.project_id

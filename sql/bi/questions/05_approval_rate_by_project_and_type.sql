-- Approval rate by project and type, last 7 days
-- Where approval is low, and whether issuers decline or something fails.
SELECT project_id, operation_type, sum(attempts) AS attempts, sum(declined) AS declined, sum(failed) AS failed,
       round(sum(approved) / sum(attempts), 4) AS approval_rate
FROM bi.approval_rate_daily
WHERE business_date >= bi.today() - 7
GROUP BY project_id, operation_type
ORDER BY approval_rate, project_id, operation_type

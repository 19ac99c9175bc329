-- Count and Σ minor units by currency, type and status: daily_overview against the core itself without what is counted
-- for another account (core.account_projects), of accounts whose every ledger entry the marts have taken in (a load may have landed since).
SELECT account, currency, operation_type, operation_status,
       core.operations AS operations_in_core, mart.operations AS operations_in_mart,
       core.minor AS minor_in_core, mart.minor AS minor_in_mart
FROM (
    SELECT o.account, coalesce(o.sum_initial_currency, '(none)') AS currency,
           coalesce(o.operation_type, '(none)') AS operation_type,
           coalesce(o.operation_status, '(none)') AS operation_status,
           count(*) AS operations, sum(o.sum_initial_amount) AS minor
    FROM core.operations o
    WHERE NOT EXISTS (
        SELECT FROM core.account_projects p
        WHERE p.account = o.account AND p.project_id = o.project_id AND NOT p.is_counted)
    GROUP BY 1, 2, 3, 4
) AS core
FULL JOIN (
    SELECT account, currency, operation_type, operation_status, sum(operations) AS operations, sum(amount_minor) AS minor
    FROM bi.daily_overview
    GROUP BY 1, 2, 3, 4
) AS mart USING (account, currency, operation_type, operation_status)
WHERE (core.operations, core.minor) IS DISTINCT FROM (mart.operations, mart.minor)
  AND NOT EXISTS (
    SELECT 1 FROM sync.windows w
    LEFT JOIN sync.mart_refreshes m ON m.account = w.account AND m.mart_group = 'operations'
    WHERE w.account = coalesce(core.account, mart.account) AND w.entry_no > coalesce(m.entry_no, 0))
ORDER BY 1, 2, 3, 4

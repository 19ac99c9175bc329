-- status: the books hold another outcome than the platform.
INSERT INTO found_breaks
SELECT 'status ' || match_id, coalesce(core.business_date(at), CAST(:day AS date)), 'status', operation_id, entry_id, NULL,
       coalesce(platform_currency, ledger_currency), coalesce(platform_minor, ledger_minor), platform_currency,
       platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
       concat('the platform says ', coalesce(platform_status, 'nothing'), ', the books say ', ledger_status), NULL
FROM compared
WHERE platform_status IS DISTINCT FROM ledger_status

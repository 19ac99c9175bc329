-- currency: the two sides name different currencies; their amounts cannot be compared.
INSERT INTO found_breaks
SELECT 'currency ' || match_id, coalesce(core.business_date(at), CAST(:day AS date)), 'currency', operation_id, entry_id, NULL,
       platform_currency, platform_minor, platform_currency, platform_minor, platform_status,
       ledger_currency, ledger_minor, ledger_status,
       concat('the platform has ', coalesce(platform_currency, 'no currency'), ', the books have ', ledger_currency), NULL
FROM compared
WHERE platform_currency IS DISTINCT FROM ledger_currency

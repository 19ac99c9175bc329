-- How much do the books lack?
-- Operations without an entry and entries without an operation, by day, last 30 days.
SELECT DISTINCT account, business_date, operations_alone, entries_alone, match_rate
FROM bi.recon_match_rate
WHERE business_date >= bi.today() - 30
ORDER BY business_date, account

-- Amounts whose currency is not beside them; and tables with amounts whose key lacks the currency, unless their key is
-- a single operation or report, whose amounts have one currency each.
WITH amount AS (
    SELECT c.oid, c.relname, c.relkind, a.attname
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'bi'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
      AND (a.attname ~ '_minor$' OR a.atttypid = 'numeric'::regtype AND a.attname !~ '(_rate|_share|_unit|_in_usd)$')
)
SELECT format('bi.%s.%s: no column currency beside it', relname, attname) AS offence
FROM amount
WHERE NOT EXISTS (
    SELECT 1 FROM pg_attribute a WHERE a.attrelid = amount.oid AND NOT a.attisdropped
      AND a.attname = CASE WHEN amount.attname ~ '^converted' THEN 'converted_currency' ELSE 'currency' END)
UNION ALL
SELECT format('bi.%s: its key lacks the currency', relname)
FROM amount
WHERE relkind IN ('r', 'p') AND NOT EXISTS (
    SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = amount.oid AND i.indisprimary AND a.attname IN ('currency', 'operation_id', 'report_key'))
GROUP BY relname
ORDER BY 1

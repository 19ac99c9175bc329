-- amount, rounding or fee: one currency, different amounts. A difference that is exactly the booked fee is a fee break
-- (booked net). One within the tolerance, or of one minor unit, is a rounding break; within the tolerance it is
-- explained by that.
INSERT INTO found_breaks
SELECT kind.name || ' ' || c.match_id, days.day, kind.name, c.operation_id, c.entry_id, NULL,
       c.platform_currency, c.ledger_minor - coalesce(c.platform_minor, 0), c.platform_currency, c.platform_minor,
       c.platform_status, c.ledger_currency, c.ledger_minor, c.ledger_status,
       CASE kind.name WHEN 'fee' THEN 'booked net of the fee' WHEN 'rounding' THEN 'a rounding difference'
                      ELSE 'the amounts differ' END,
       CASE WHEN differing.by <= allowed.minor THEN 'within the tolerance' END
FROM compared c
CROSS JOIN LATERAL (SELECT coalesce(core.business_date(c.at), CAST(:day AS date)) AS day) AS days
CROSS JOIN LATERAL (SELECT abs(c.ledger_minor - coalesce(c.platform_minor, 0)) AS by) AS differing
LEFT JOIN LATERAL (
    SELECT greatest(t.absolute_minor, floor(abs(c.platform_minor) * t.relative_bps / 10000)) AS minor
    FROM recon.tolerances t
    WHERE t.account = :account AND t.currency IN (c.platform_currency, '*') AND t.operation_type IN (c.operation_type, '*')
      AND t.valid_from <= days.day AND (t.valid_to IS NULL OR t.valid_to > days.day)
    ORDER BY t.currency = '*', t.operation_type = '*', t.valid_from DESC
    LIMIT 1
) AS allowed ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN differing.by = c.fee_minor AND c.ledger_minor < c.platform_minor THEN 'fee'
                WHEN differing.by <= greatest(1, allowed.minor) THEN 'rounding' ELSE 'amount' END AS name
) AS kind
WHERE c.platform_currency = c.ledger_currency AND c.platform_minor IS DISTINCT FROM c.ledger_minor

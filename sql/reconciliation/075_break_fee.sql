-- fee: the fee that was booked is not the one of recon.fee_rules (rounded half up).
INSERT INTO found_breaks
SELECT 'fee_rule ' || n.match_id, days.day, 'fee', o.operation_id, e.entry_id, NULL,
       e.currency, e.fee_minor - rule.fee, o.currency, rule.fee, o.operation_status, e.currency, e.fee_minor, e.status,
       'the booked fee is not the agreed one', NULL
FROM pool_entries e
JOIN new_links n ON n.entry_id = e.entry_id AND n.shape = '1:1'
JOIN pool_operations o ON o.operation_id = n.operation_id AND o.currency = e.currency
CROSS JOIN LATERAL (SELECT coalesce(core.business_date(o.at), CAST(:day AS date)) AS day) AS days
CROSS JOIN LATERAL (
    SELECT r.fixed_minor + floor((CAST(o.minor AS numeric) * r.bps + 5000) / 10000) AS fee
    FROM recon.fee_rules r
    WHERE r.account = :account AND r.currency = o.currency AND r.operation_type = o.operation_type
      AND r.valid_from <= days.day AND (r.valid_to IS NULL OR r.valid_to > days.day)
    ORDER BY r.valid_from DESC
    LIMIT 1
) AS rule
WHERE e.fee_minor IS NOT NULL AND e.fee_minor <> rule.fee
  AND EXISTS (SELECT FROM recon.fee_rules WHERE account = :account)

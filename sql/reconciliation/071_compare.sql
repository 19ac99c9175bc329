-- One against several: the several are added up (the passes never put two currencies into one match).
INSERT INTO compared
SELECT n.match_id, min(o.operation_id), min(e.entry_id), min(o.operation_type), max(o.at),
       min(o.currency), CASE WHEN min(n.shape) = 'n:1' THEN sum(o.minor) ELSE max(o.minor) END, min(o.operation_status),
       min(e.currency), CASE WHEN min(n.shape) = '1:n' THEN sum(e.minor) ELSE max(e.minor) END, min(e.status),
       CASE WHEN min(n.shape) = '1:n' THEN sum(e.fee_minor) ELSE max(e.fee_minor) END
FROM new_links n
JOIN pool_operations o ON o.operation_id = n.operation_id
JOIN pool_entries e ON e.entry_id = n.entry_id
WHERE n.shape <> '1:1'
   OR (o.currency, o.minor, o.operation_status) IS DISTINCT FROM (e.currency, e.minor, e.status)
GROUP BY n.match_id

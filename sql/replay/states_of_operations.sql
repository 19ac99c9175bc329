-- Every stored state of some rows, as text to compare before and after, and the window it came from.
SELECT o.operation_id AS key, o.window_id, md5(o::text) AS state
FROM core.operations o WHERE o.account = :account AND o.operation_id = ANY(:keys)
UNION ALL
SELECT v.operation_id, v.window_id, md5(v::text)
FROM core.operation_versions v WHERE v.account = :account AND v.operation_id = ANY(:keys)

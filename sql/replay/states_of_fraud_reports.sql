-- Every stored state of some rows, as text to compare before and after, and the window it came from.
SELECT o.report_key AS key, o.window_id, md5(o::text) AS state
FROM core.fraud_reports o WHERE o.account = :account AND o.report_key = ANY(:keys)
UNION ALL
SELECT v.report_key, v.window_id, md5(v::text)
FROM core.fraud_report_versions v WHERE v.account = :account AND v.report_key = ANY(:keys)

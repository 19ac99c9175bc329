-- Reports whose received_on, read as UTC, lies outside the interval that was asked for: the platform then counts in
-- another time zone (fraud/list has no parameter for one), and days of this stream begin at another hour.
SELECT f.report_key, f.received_on, w.interval_from, w.interval_to
FROM core.fraud_reports f
JOIN sync.windows w USING (window_id)
WHERE w.run_id = ANY(:run_ids) AND f.received_on NOT BETWEEN w.interval_from AND w.interval_to
ORDER BY f.report_key
LIMIT 100

-- What share of operations is seen within a day?
-- By the day on which they were first seen; a backfill counts as late.
SELECT first_seen_date, round(sum(operations) FILTER (WHERE from_hours < 24) / sum(operations), 4) AS share_within_a_day
FROM bi.ops_lateness
WHERE first_seen_date >= bi.today() - 14
GROUP BY first_seen_date
ORDER BY first_seen_date DESC

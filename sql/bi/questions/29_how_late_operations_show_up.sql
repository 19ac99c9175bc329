-- How late do operations show up?
-- Of those first seen in the last 14 days: hours from completion, by day.
SELECT first_seen_date, lateness, sum(operations) AS operations
FROM bi.ops_lateness
WHERE first_seen_date >= bi.today() - 14
GROUP BY first_seen_date, lateness, from_hours
ORDER BY first_seen_date, from_hours

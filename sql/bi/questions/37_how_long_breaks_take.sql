-- How long until a break is explained or resolved?
-- Medians of the last 30 days by type, in hours.
SELECT break_type, outcome, sum(breaks) AS breaks, round(max(median_minutes) / 60.0, 1) AS slowest_median_hours
FROM bi.recon_resolution
WHERE ended_date >= bi.today() - 30
GROUP BY break_type, outcome
ORDER BY break_type, outcome

-- How many breaks did we get done each day?
-- Explained by somebody, or resolved because they are no longer found.
SELECT ended_date, sum(breaks) FILTER (WHERE outcome = 'explained') AS explained,
       sum(breaks) FILTER (WHERE outcome = 'resolved') AS resolved
FROM bi.recon_resolution
WHERE ended_date >= bi.today() - 30
GROUP BY ended_date
ORDER BY ended_date

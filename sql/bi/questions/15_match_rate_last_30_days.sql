-- Match rate, last 30 days
-- How much of each day the books have, and how many matches each pass made.
SELECT account, business_date, match_rate, operations, operations_alone, entries_alone,
       sum(matches) FILTER (WHERE pass = 'manual') AS by_hand, sum(matches) AS matches
FROM bi.recon_match_rate
WHERE business_date >= bi.today() - 30
GROUP BY account, business_date, match_rate, operations, operations_alone, entries_alone
ORDER BY business_date DESC, account

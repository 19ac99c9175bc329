-- Open breaks by owner
-- Whose the open breaks are, how many are overdue, and the oldest; amounts in minor units, by currency.
SELECT account, owner, currency, sum(breaks) AS breaks, sum(breaks_overdue) AS overdue, max(oldest_days) AS oldest_days,
       sum(amount_minor) AS amount_minor
FROM bi.recon_open_breaks
GROUP BY account, owner, currency
ORDER BY overdue DESC, breaks DESC, owner, currency

-- name: breaks
-- Breaks of the sealed days by what became of them. Age runs from the business day to the day on which the break was
-- explained or resolved; of an open one to the day after the month, so that the report of a month stays the same.
SELECT b.break_type, b.state,
       recon.age_bucket(greatest(0, CASE b.state
           WHEN 'open' THEN CAST(:last AS date) + 1
           WHEN 'resolved' THEN core.business_date(b.resolved_at)
           ELSE core.business_date(coalesce(
               (SELECT max(e.at) FROM recon.break_events e
                WHERE e.account = b.account AND e.break_id = b.break_id AND e.event = 'explained'), b.opened_at))
       END - b.business_date)) AS age,
       b.currency, count(*) AS count, sum(abs(b.amount_minor)) AS minor
FROM recon.breaks b
WHERE b.account = :account AND b.business_date = ANY(CAST(:days AS date[]))
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, b.currency COLLATE "C"

-- name: explained_balances
-- Balances with breaks on the sealed days of which none is open.
SELECT balance_name, currency
FROM recon.breaks
WHERE account = :account AND business_date = ANY(CAST(:days AS date[])) AND break_type = 'balance'
GROUP BY balance_name, currency
HAVING bool_and(state <> 'open')

-- name: restatements
-- What is known by now of the sealed days, and was not when they were sealed; amounts of two currencies are not added.
SELECT business_date, kind, currency_before, currency_after, count(*) AS count,
       sum(minor_before) AS minor_before, sum(minor_after) AS minor_after,
       max(restated_known_at) AS known_at
FROM recon.restatements
WHERE account = :account AND business_date = ANY(CAST(:days AS date[]))
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, currency_before COLLATE "C", currency_after COLLATE "C"

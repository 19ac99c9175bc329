-- The last snapshot up to the start of the day (no older than two days), and the last one up to its end.
WITH cuts AS (
    SELECT (SELECT max(captured_at) FROM core.balance_snapshots
            WHERE account = :account AND captured_at <= :starts_at
              AND captured_at > CAST(:starts_at AS timestamptz) - interval '2 days') AS opening_at,
           (SELECT max(captured_at) FROM core.balance_snapshots
            WHERE account = :account AND captured_at <= :ends_at AND captured_at > :starts_at) AS closing_at
), opening AS (
    SELECT b.balance_name, b.currency, b.captured_at, sum(b.amount_minor) AS minor
    FROM core.balance_snapshots b JOIN cuts ON b.captured_at = cuts.opening_at
    WHERE b.account = :account GROUP BY 1, 2, 3
), closing AS (
    SELECT b.balance_name, b.currency, b.captured_at, sum(b.amount_minor) AS minor
    FROM core.balance_snapshots b JOIN cuts ON b.captured_at = cuts.closing_at
    WHERE b.account = :account GROUP BY 1, 2, 3
)
INSERT INTO day_balances
SELECT coalesce(o.balance_name, c.balance_name), coalesce(o.currency, c.currency),
       o.captured_at, o.minor, c.captured_at, c.minor, NULL
FROM opening o
FULL JOIN closing c ON c.balance_name = o.balance_name AND c.currency = o.currency

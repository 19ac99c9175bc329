-- All balances by business day; snapshots are few, so all days are built each time.
CREATE TEMPORARY TABLE new_balances_daily ON COMMIT DROP AS
WITH moment AS (
    SELECT b.account, (b.captured_at AT TIME ZONE s.value)::date AS business_date, b.balance_name, b.currency,
           b.captured_at, sum(b.amount_minor) AS minor
    FROM core.balance_snapshots b, core.settings s
    WHERE s.key = 'reporting_zone'
    GROUP BY 1, 2, 3, 4, 5
), day AS (
    SELECT account, business_date, balance_name, currency,
           ((array_agg(minor ORDER BY captured_at))[1])::bigint AS opening_minor,
           ((array_agg(minor ORDER BY captured_at DESC))[1])::bigint AS closing_minor,
           min(minor)::bigint AS lowest_minor, max(minor)::bigint AS highest_minor,
           count(*) AS snapshots, min(captured_at) AS first_captured_at, max(captured_at) AS last_captured_at
    FROM moment
    GROUP BY 1, 2, 3, 4
)
SELECT d.*, opening_minor * c.smallest_unit AS opening, closing_minor * c.smallest_unit AS closing,
       lowest_minor * c.smallest_unit AS lowest, highest_minor * c.smallest_unit AS highest
FROM day d
LEFT JOIN core.currencies c ON c.currency = d.currency
    AND c.valid_from <= d.business_date AND (c.valid_to IS NULL OR c.valid_to > d.business_date)

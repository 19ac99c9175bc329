-- Opening and closing snapshot of each balance of the day; balances of one name and currency are taken together.
CREATE TEMPORARY TABLE day_balances (
    balance_name   text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    opening_at     timestamptz,
    opening_minor  numeric,
    closing_at     timestamptz,
    closing_minor  numeric,
    basis          text
) ON COMMIT DROP

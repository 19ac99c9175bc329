-- The matches whose two sides do not say the same, and what each says.
CREATE TEMPORARY TABLE compared (
    match_id           text COLLATE "C" NOT NULL,
    operation_id       text COLLATE "C" NOT NULL,
    entry_id           text COLLATE "C" NOT NULL,
    operation_type     text COLLATE "C",
    at                 timestamptz,
    platform_currency  text COLLATE "C",
    platform_minor     numeric,
    platform_status    text COLLATE "C",
    ledger_currency    text COLLATE "C",
    ledger_minor       numeric,
    ledger_status      text COLLATE "C",
    fee_minor          numeric
) ON COMMIT DROP

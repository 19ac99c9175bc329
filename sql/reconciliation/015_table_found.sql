-- The breaks as found now.
CREATE TEMPORARY TABLE found_breaks (
    break_key          text NOT NULL,
    business_date      date NOT NULL,
    break_type         text NOT NULL,
    operation_id       text,
    entry_id           text,
    balance_name       text,
    currency           text,
    amount_minor       bigint,
    platform_currency  text,
    platform_minor     bigint,
    platform_status    text,
    ledger_currency    text,
    ledger_minor       bigint,
    ledger_status      text,
    detail             text NOT NULL,
    excuse             text
) ON COMMIT DROP

-- A break found again keeps its row. Other figures open it again; found again after it was gone, it is open, or
-- explained if somebody explained these very figures; a tolerance explains, and no longer explains when it is taken back.
INSERT INTO recon.breaks AS b (
    account, break_key, business_date, reconciled_date, break_type, operation_id, entry_id, balance_name, currency,
    amount_minor, platform_currency, platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
    detail, state, owner, note
)
SELECT :account, break_key, business_date, :day, break_type, operation_id, entry_id, balance_name, currency,
       amount_minor, platform_currency, platform_minor, platform_status, ledger_currency, ledger_minor, ledger_status,
       detail, CASE WHEN excuse IS NULL THEN 'open' ELSE 'explained' END,
       CASE WHEN excuse IS NOT NULL THEN 'reconcile' END, excuse
FROM found_breaks
ORDER BY break_key
ON CONFLICT (account, break_key) DO UPDATE SET
    business_date = excluded.business_date, reconciled_date = excluded.reconciled_date,
    operation_id = excluded.operation_id, entry_id = excluded.entry_id, currency = excluded.currency,
    amount_minor = excluded.amount_minor, platform_currency = excluded.platform_currency,
    platform_minor = excluded.platform_minor, platform_status = excluded.platform_status,
    ledger_currency = excluded.ledger_currency, ledger_minor = excluded.ledger_minor,
    ledger_status = excluded.ledger_status, detail = excluded.detail,
    state = CASE
        WHEN excluded.state = 'explained' THEN 'explained'
        WHEN b.note IS NOT NULL AND b.owner <> 'reconcile' AND (b.amount_minor, b.currency, b.platform_currency,
             b.platform_minor, b.platform_status, b.ledger_currency, b.ledger_minor, b.ledger_status)
            IS NOT DISTINCT FROM (excluded.amount_minor, excluded.currency, excluded.platform_currency,
             excluded.platform_minor, excluded.platform_status, excluded.ledger_currency, excluded.ledger_minor,
             excluded.ledger_status) THEN 'explained'
        ELSE 'open' END,
    owner = CASE WHEN b.owner = 'reconcile' OR b.owner IS NULL THEN excluded.owner ELSE b.owner END,
    note = CASE WHEN b.owner = 'reconcile' OR b.owner IS NULL THEN excluded.note ELSE b.note END,
    changed_at = clock_timestamp(), resolved_at = NULL
WHERE b.state = 'resolved'
   OR (b.owner = 'reconcile' AND excluded.state = 'open')
   OR (b.state = 'open' AND excluded.state = 'explained')
   OR (b.reconciled_date, b.amount_minor, b.currency, b.platform_currency, b.platform_minor, b.platform_status,
       b.ledger_currency, b.ledger_minor, b.ledger_status)
      IS DISTINCT FROM (excluded.reconciled_date, excluded.amount_minor, excluded.currency, excluded.platform_currency,
       excluded.platform_minor, excluded.platform_status, excluded.ledger_currency, excluded.ledger_minor,
       excluded.ledger_status)

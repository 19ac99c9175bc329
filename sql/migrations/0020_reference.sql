-- What amounts, days and kinds of operations mean: currencies, settings, types, statuses, and two functions over them.
-- Currencies and settings are filled after the migrations by resources/warehouse/reference.py.

CREATE TABLE core.currencies (
    currency    text NOT NULL,
    exponent    integer NOT NULL CHECK (exponent BETWEEN 0 AND 18),
    smallest_unit  numeric NOT NULL CHECK (smallest_unit > 0),
    source      text NOT NULL CHECK (source IN ('iso4217', 'override')),
    valid_from  date NOT NULL,
    valid_to    date CHECK (valid_to > valid_from),
    PRIMARY KEY (currency, valid_from)
);
COMMENT ON TABLE core.currencies IS 'Decimals of each currency, by period: ISO 4217, and what SYNC_CURRENCY_EXPONENTS says otherwise.';
COMMENT ON COLUMN core.currencies.currency IS 'ISO 4217 alpha-3 code, or the platform''s own.';
COMMENT ON COLUMN core.currencies.exponent IS 'How many decimals an amount in major units has: 2 for EUR, 0 for JPY.';
COMMENT ON COLUMN core.currencies.smallest_unit IS 'What one minor unit is worth in major units, exactly: 0.01 for EUR, 1 for JPY.';
COMMENT ON COLUMN core.currencies.source IS 'iso4217, or override (SYNC_CURRENCY_EXPONENTS).';
COMMENT ON COLUMN core.currencies.valid_from IS 'First business day on which it holds.';
COMMENT ON COLUMN core.currencies.valid_to IS 'First business day on which it no longer holds; NULL: it still does.';

CREATE TABLE core.settings (
    key         text PRIMARY KEY,
    value       text NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE core.settings IS 'Settings that the database itself needs, as the last command that found them changed wrote them.';
COMMENT ON COLUMN core.settings.key IS 'reporting_zone (SYNC_REPORTING_ZONE), fiscal_year_start_month (SYNC_FISCAL_START_MONTH), reference_fingerprint (of all that reference.py filled).';
COMMENT ON COLUMN core.settings.value IS 'The value as text.';
COMMENT ON COLUMN core.settings.updated_at IS 'When it was last written.';
INSERT INTO core.settings (key, value) VALUES ('reporting_zone', 'UTC'), ('fiscal_year_start_month', '1');

CREATE TABLE core.operation_types (
    operation_type  text PRIMARY KEY,
    sign            smallint NOT NULL CHECK (sign IN (-1, 0, 1)),
    is_money        boolean NOT NULL
);
COMMENT ON TABLE core.operation_types IS 'What each type of operation does to the merchant''s money when it succeeds; a type that is not here has sign 0.';
COMMENT ON COLUMN core.operation_types.operation_type IS 'Type as the API names it.';
COMMENT ON COLUMN core.operation_types.sign IS '1: credit to the merchant; -1: debit; 0: moves no money.';
COMMENT ON COLUMN core.operation_types.is_money IS 'Whether it moves money.';
INSERT INTO core.operation_types VALUES
    ('sale', 1, true), ('capture', 1, true), ('recurring', 1, true),
    ('refund', -1, true), ('reversal', -1, true), ('payout', -1, true),
    ('auth', 0, false), ('cancel', 0, false), ('account verification', 0, false);

CREATE TABLE core.operation_statuses (
    operation_status  text PRIMARY KEY,
    is_final          boolean NOT NULL,
    is_success        boolean NOT NULL
);
COMMENT ON TABLE core.operation_statuses IS 'What each status means; a status that is not here is neither final nor a success.';
COMMENT ON COLUMN core.operation_statuses.operation_status IS 'Status as the API names it.';
COMMENT ON COLUMN core.operation_statuses.is_final IS 'No further status is expected (a correction can still come).';
COMMENT ON COLUMN core.operation_statuses.is_success IS 'The operation did what was asked for: approved.';
INSERT INTO core.operation_statuses VALUES
    ('success', true, true), ('decline', true, false), ('error', true, false),
    ('processing', false, false), ('awaiting 3ds result', false, false), ('awaiting redirect result', false, false),
    ('awaiting clarification', false, false), ('awaiting customer action', false, false);

-- Multiplied, never divided: numeric division rounds large amounts.
-- SECURITY DEFINER: views that readers of bi.* and recon.* use may call them; the bodies are bound when created.
CREATE FUNCTION core.minor_to_major(amount numeric, currency_code text, at_day date) RETURNS numeric
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
BEGIN ATOMIC
    SELECT amount * c.smallest_unit FROM core.currencies c
    WHERE c.currency = currency_code AND c.valid_from <= at_day AND (c.valid_to IS NULL OR c.valid_to > at_day);
END;
COMMENT ON FUNCTION core.minor_to_major(numeric, text, date) IS 'Exact amount in major units, with the currency''s decimals on that day; NULL when they are not known.';

CREATE FUNCTION core.business_date(moment timestamptz) RETURNS date
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
BEGIN ATOMIC
    SELECT (moment AT TIME ZONE s.value)::date FROM core.settings s WHERE s.key = 'reporting_zone';
END;
COMMENT ON FUNCTION core.business_date(timestamptz) IS 'Day of that moment in the reporting zone (SYNC_REPORTING_ZONE).';

CREATE FUNCTION core.business_day_starts_at(business_day date) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
BEGIN ATOMIC
    SELECT business_day::timestamp AT TIME ZONE s.value FROM core.settings s WHERE s.key = 'reporting_zone';
END;
COMMENT ON FUNCTION core.business_day_starts_at(date) IS 'First moment of a business day in the reporting zone; the day ends where the next one starts.';

-- Schema core: what the platform says, typed. A table's columns between its key and first_seen_at stand in the order of
-- its stream's schema in pipelines/ingest; versions hold what a row was before.

CREATE SCHEMA IF NOT EXISTS core;
COMMENT ON SCHEMA core IS 'What the platform says, typed: one row an operation, balances, what could not be typed.';

CREATE TABLE core.rejects (
    account           text NOT NULL,
    stream            text NOT NULL,
    row_sha256        bytea NOT NULL,
    reason            text NOT NULL,
    raw_json          text NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    window_id         bigint,
    first_seen_at     timestamptz NOT NULL,
    last_seen_at      timestamptz NOT NULL,
    PRIMARY KEY (account, stream, row_sha256)
);
CREATE INDEX rejects_run ON core.rejects (run_id);

COMMENT ON TABLE core.rejects IS 'Rows that could not be typed, whole, with the reason: nothing is dropped.';
COMMENT ON COLUMN core.rejects.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.rejects.stream IS 'operations, fraud, balances, or documents:NAME.';
COMMENT ON COLUMN core.rejects.row_sha256 IS 'SHA-256 of raw_json: the same row is kept once.';
COMMENT ON COLUMN core.rejects.reason IS 'Which field could not be typed, and why.';
COMMENT ON COLUMN core.rejects.raw_json IS 'The row as it came, as JSON text.';
COMMENT ON COLUMN core.rejects.run_id IS 'The run that met it last.';
COMMENT ON COLUMN core.rejects.window_id IS 'The walk that met it last; NULL for balances.';
COMMENT ON COLUMN core.rejects.first_seen_at IS 'When it was met first.';
COMMENT ON COLUMN core.rejects.last_seen_at IS 'When it was met last.';

-- core.operations: one row an operation, as last observed; core.operation_versions: what it was before.
-- The columns between operation_id and extra are the API's fields, in the order that resources/warehouse/load.py
-- copies them; the first block comes by default, the second (from bin on) only when SYNC_FIELDS asks for it.
CREATE TABLE core.operations (
    account                   text NOT NULL,
    operation_id              text COLLATE "C" NOT NULL,
    project_id                text,
    payment_id                text,
    operation_type            text,
    operation_status          text,
    account_number            text,
    customer_ip               text,
    payment_method_name       text,
    payment_method_type       text,
    payment_description       text,
    operation_created_at      timestamptz,
    operation_completed_at    timestamptz,
    provider_date             timestamptz,
    shipment_date             timestamptz,
    sum_initial_amount        bigint,
    sum_initial_currency      text,
    sum_converted_amount      bigint,
    sum_converted_currency    text,
    arn                       text,
    rrn                       text,
    payment_provider_code     text,
    payment_provider_message  text,
    bin                       text,
    bank_name                 text,
    card_enroll_check         text,
    card_holder               text,
    card_product_name         text,
    card_token                text,
    expiration_date           text,
    country_by_bin            text,
    eci                       text,
    secure_3ds_check          text,
    auth_code                 text,
    avs_post_code             text,
    avs_street_address        text,
    avs_result                text,
    customer_id               text,
    customer_email            text,
    country_by_ip             text,
    completed_refund          bigint,
    remaining_refund          bigint,
    currency_rate             text,
    payment_currency          text,
    balance_id                text,
    payment_type              text,
    transaction_created_at    timestamptz,
    transaction_completed_at  timestamptz,
    transaction_status        text,
    provider_payment_id       text,
    recurring_id              text,
    recurring_register        text,
    recurring_valid_thru      text,
    acquirer_bank_name        text,
    legal_entity_name         text,
    merchant_id               text,
    project_name              text,
    project_url               text,
    extra                     jsonb,
    observed_at               timestamptz NOT NULL,
    first_seen_at             timestamptz NOT NULL,
    window_id                 bigint NOT NULL,
    PRIMARY KEY (account, operation_id)
);
-- A secondary index begins with what it looks up: one that began with the account would be a way to a row of that
-- account too, and the planner takes it for as good as the key where it believes the table to be empty.
CREATE INDEX operations_payment ON core.operations (payment_id, account);
CREATE INDEX operations_window ON core.operations (window_id);
-- operations lie in the order in which they were first seen, but for those that changed: a few pages find the last days
CREATE INDEX operations_first_seen ON core.operations USING brin (((first_seen_at AT TIME ZONE 'UTC')::date))
    WITH (autosummarize = on);
-- for reading single days; a call of core.business_at is to the planner the expression of this index
CREATE INDEX operations_business ON core.operations
    ((coalesce(operation_completed_at, operation_created_at, first_seen_at)), account);
CREATE FUNCTION core.business_at(operation core.operations) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(operation.operation_completed_at, operation.operation_created_at, operation.first_seen_at);
COMMENT ON FUNCTION core.business_at(core.operations) IS 'The moment that decides an operation''s business day: when it completed; before that, when it was created.';

COMMENT ON TABLE core.operations IS 'One row an operation of the platform, as last observed. Money is in minor units; "" of the API is NULL.';
COMMENT ON COLUMN core.operations.account IS 'Which token''s account it came through (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.operations.operation_id IS 'The platform''s id of the operation, digits, unique in the platform.';
COMMENT ON COLUMN core.operations.project_id IS 'The platform''s project id, digits.';
COMMENT ON COLUMN core.operations.payment_id IS 'The merchant''s own id of the payment, unique within a project.';
COMMENT ON COLUMN core.operations.operation_type IS 'sale, auth, capture, cancel, recurring, refund, reversal, payout, account verification; new ones may come.';
COMMENT ON COLUMN core.operations.operation_status IS 'success, decline, processing, awaiting …, error; new ones may come.';
COMMENT ON COLUMN core.operations.account_number IS 'Personal data: the payment instrument, a masked card number or a wallet id.';
COMMENT ON COLUMN core.operations.customer_ip IS 'Personal data: the customer''s IP address.';
COMMENT ON COLUMN core.operations.payment_method_name IS 'For example visa.';
COMMENT ON COLUMN core.operations.payment_method_type IS 'For example visa.';
COMMENT ON COLUMN core.operations.payment_description IS 'Free text of the merchant: escape it wherever it is shown.';
COMMENT ON COLUMN core.operations.operation_created_at IS 'When the operation was created.';
COMMENT ON COLUMN core.operations.operation_completed_at IS 'When the operation became final; NULL until then.';
COMMENT ON COLUMN core.operations.provider_date IS 'When the provider completed it.';
COMMENT ON COLUMN core.operations.shipment_date IS 'When it was posted for clearing.';
COMMENT ON COLUMN core.operations.sum_initial_amount IS 'Amount as requested, in minor units of sum_initial_currency.';
COMMENT ON COLUMN core.operations.sum_initial_currency IS 'ISO 4217 alpha-3 code of sum_initial_amount.';
COMMENT ON COLUMN core.operations.sum_converted_amount IS 'Amount in the provider''s currency, in minor units of sum_converted_currency.';
COMMENT ON COLUMN core.operations.sum_converted_currency IS 'ISO 4217 alpha-3 code of sum_converted_amount.';
COMMENT ON COLUMN core.operations.arn IS 'Acquirer reference number; leading zeros kept.';
COMMENT ON COLUMN core.operations.rrn IS 'Retrieval reference number; leading zeros kept.';
COMMENT ON COLUMN core.operations.payment_provider_code IS 'The issuer''s or provider''s answer code; leading zeros kept.';
COMMENT ON COLUMN core.operations.payment_provider_message IS 'The issuer''s or provider''s answer in words.';
COMMENT ON COLUMN core.operations.bin IS 'First digits of the card number.';
COMMENT ON COLUMN core.operations.bank_name IS 'The issuer''s name.';
COMMENT ON COLUMN core.operations.card_enroll_check IS '3-D Secure enrolment: E, N or U.';
COMMENT ON COLUMN core.operations.card_holder IS 'Personal data: the name on the card.';
COMMENT ON COLUMN core.operations.card_product_name IS 'The card product.';
COMMENT ON COLUMN core.operations.card_token IS 'The platform''s token of the card.';
COMMENT ON COLUMN core.operations.expiration_date IS 'The card''s expiry as given.';
COMMENT ON COLUMN core.operations.country_by_bin IS 'The issuer''s country.';
COMMENT ON COLUMN core.operations.eci IS 'Electronic commerce indicator; leading zeros kept.';
COMMENT ON COLUMN core.operations.secure_3ds_check IS '3-D Secure passed: 0 or 1.';
COMMENT ON COLUMN core.operations.auth_code IS 'Authorisation code; leading zeros kept.';
COMMENT ON COLUMN core.operations.avs_post_code IS 'Personal data: post code of the address check.';
COMMENT ON COLUMN core.operations.avs_street_address IS 'Personal data: street of the address check.';
COMMENT ON COLUMN core.operations.avs_result IS 'Result of the address check.';
COMMENT ON COLUMN core.operations.customer_id IS 'Personal data: the merchant''s own id of the customer.';
COMMENT ON COLUMN core.operations.customer_email IS 'Personal data: the customer''s e-mail address.';
COMMENT ON COLUMN core.operations.country_by_ip IS 'The customer''s country by IP address.';
COMMENT ON COLUMN core.operations.completed_refund IS 'Refunded so far, in minor units.';
COMMENT ON COLUMN core.operations.remaining_refund IS 'Left to refund, in minor units.';
COMMENT ON COLUMN core.operations.currency_rate IS 'Conversion rate as given by the platform, kept to the byte.';
COMMENT ON COLUMN core.operations.payment_currency IS 'Currency of the payment, ISO 4217 alpha-3.';
COMMENT ON COLUMN core.operations.balance_id IS 'The platform''s id of the balance it moved.';
COMMENT ON COLUMN core.operations.payment_type IS '3 sale, 31 two-step purchase, 6 recurring, 24 transfer, 11 payout.';
COMMENT ON COLUMN core.operations.transaction_created_at IS 'When the transaction was created.';
COMMENT ON COLUMN core.operations.transaction_completed_at IS 'When the transaction became final.';
COMMENT ON COLUMN core.operations.transaction_status IS 'Status of the transaction.';
COMMENT ON COLUMN core.operations.provider_payment_id IS 'The provider''s own id of the payment.';
COMMENT ON COLUMN core.operations.recurring_id IS 'The platform''s id of the recurring agreement.';
COMMENT ON COLUMN core.operations.recurring_register IS 'Registers a recurring agreement: 0 or 1.';
COMMENT ON COLUMN core.operations.recurring_valid_thru IS 'End of the recurring agreement as given.';
COMMENT ON COLUMN core.operations.acquirer_bank_name IS 'The acquirer''s name.';
COMMENT ON COLUMN core.operations.legal_entity_name IS 'The merchant''s legal entity.';
COMMENT ON COLUMN core.operations.merchant_id IS 'The platform''s id of the merchant.';
COMMENT ON COLUMN core.operations.project_name IS 'The project''s name.';
COMMENT ON COLUMN core.operations.project_url IS 'The project''s address.';
COMMENT ON COLUMN core.operations.extra IS 'Fields of the API that this version does not know, as they came, without those that are null; NULL when there are none.';
COMMENT ON COLUMN core.operations.observed_at IS 'When the request that first brought this state was started.';
COMMENT ON COLUMN core.operations.first_seen_at IS 'When the operation was first observed in any state.';
COMMENT ON COLUMN core.operations.window_id IS 'The walk that brought this state: sync.windows.window_id.';

CREATE TABLE core.operation_versions (
    LIKE core.operations INCLUDING COMMENTS,
    known_to                  timestamptz NOT NULL,
    PRIMARY KEY (account, operation_id, observed_at)
);
CREATE INDEX operation_versions_window ON core.operation_versions (window_id);
CREATE INDEX operation_versions_known_to ON core.operation_versions (known_to, account);
-- versions of the closed days are looked up by time
CREATE INDEX operation_versions_business ON core.operation_versions
    ((coalesce(operation_completed_at, operation_created_at, first_seen_at)), account);
CREATE FUNCTION core.business_at(version core.operation_versions) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(version.operation_completed_at, version.operation_created_at, version.first_seen_at);
COMMENT ON FUNCTION core.business_at(core.operation_versions) IS 'The moment that decided an operation''s business day in that state.';

COMMENT ON TABLE core.operation_versions IS 'What an operation was before: known from observed_at until known_to.';
COMMENT ON COLUMN core.operation_versions.operation_id IS 'The platform''s id of the operation.';
COMMENT ON COLUMN core.operation_versions.extra IS 'Fields of the API that this version does not know, as they came, without those that are null.';
COMMENT ON COLUMN core.operation_versions.observed_at IS 'Known from: when the request that first brought this state was started.';
COMMENT ON COLUMN core.operation_versions.known_to IS 'Known until: when the request that brought the next state was started.';

-- Whether two states of a row say the same, for every table that keeps states of a key.
CREATE FUNCTION core.same_content(stored record, observed record) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- of both the columns are compared in their order, and these three say when and by which walk, not what
    compared record := observed;
BEGIN
    compared.observed_at := stored.observed_at;
    compared.first_seen_at := stored.first_seen_at;
    compared.window_id := stored.window_id;
    RETURN stored = compared;  -- of whole rows: two NULL are equal
END $$;
COMMENT ON FUNCTION core.same_content(record, record) IS 'Whether an observed row differs from a stored one of the same table in nothing but observed_at, first_seen_at and window_id.';

CREATE FUNCTION core.fill_unrequested(stored anyelement, observed record, unrequested text[]) RETURNS anyelement
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    said jsonb := to_jsonb(observed);
BEGIN
    RETURN jsonb_populate_record(stored, said - ARRAY(
        SELECT name FROM unnest(unrequested) AS name WHERE said -> name = 'null'
    ));
END $$;
COMMENT ON FUNCTION core.fill_unrequested(anyelement, record, text[]) IS 'An observed row in which the columns that were not asked for, and came empty, have the values of the stored row: not asked for is not empty.';

CREATE FUNCTION core.operations_as_of(moment timestamptz) RETURNS SETOF core.operations
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT o.* FROM core.operations o WHERE o.observed_at <= moment
    UNION ALL
    SELECT v.account, v.operation_id,
        v.project_id, v.payment_id, v.operation_type, v.operation_status, v.account_number, v.customer_ip,
        v.payment_method_name, v.payment_method_type, v.payment_description, v.operation_created_at,
        v.operation_completed_at, v.provider_date, v.shipment_date, v.sum_initial_amount,
        v.sum_initial_currency, v.sum_converted_amount, v.sum_converted_currency, v.arn, v.rrn,
        v.payment_provider_code, v.payment_provider_message, v.bin, v.bank_name, v.card_enroll_check,
        v.card_holder, v.card_product_name, v.card_token, v.expiration_date, v.country_by_bin, v.eci,
        v.secure_3ds_check, v.auth_code, v.avs_post_code, v.avs_street_address, v.avs_result, v.customer_id,
        v.customer_email, v.country_by_ip, v.completed_refund, v.remaining_refund, v.currency_rate,
        v.payment_currency, v.balance_id, v.payment_type, v.transaction_created_at, v.transaction_completed_at,
        v.transaction_status, v.provider_payment_id, v.recurring_id, v.recurring_register,
        v.recurring_valid_thru, v.acquirer_bank_name, v.legal_entity_name, v.merchant_id, v.project_name,
        v.project_url,
        v.extra, v.observed_at, v.first_seen_at, v.window_id
    FROM core.operation_versions v
    WHERE v.observed_at <= moment AND v.known_to > moment;
END;
COMMENT ON FUNCTION core.operations_as_of(timestamptz) IS 'The operations as they were known at that moment.';

-- core.balance_snapshots: what balance/get said at a moment.
CREATE TABLE core.balance_snapshots (
    account           text NOT NULL,
    captured_at       timestamptz NOT NULL,
    position          integer NOT NULL,
    balance_name      text NOT NULL,
    currency          text NOT NULL,
    amount_minor      bigint NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    PRIMARY KEY (account, captured_at, position, currency)
);
CREATE INDEX balance_snapshots_name ON core.balance_snapshots (account, balance_name, currency, captured_at);

COMMENT ON TABLE core.balance_snapshots IS 'State of the OUT balances at a moment, as the platform gave it; it can lag reality by up to 30 minutes.';
COMMENT ON COLUMN core.balance_snapshots.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.balance_snapshots.captured_at IS 'When the request was started.';
COMMENT ON COLUMN core.balance_snapshots.position IS 'Place in the answer, from 0: two balances may bear the same name.';
COMMENT ON COLUMN core.balance_snapshots.balance_name IS 'The balance''s own name; it may mention another currency than the one it is kept in.';
COMMENT ON COLUMN core.balance_snapshots.currency IS 'ISO 4217 alpha-3 code of amount_minor: the name of the key it came under.';
COMMENT ON COLUMN core.balance_snapshots.amount_minor IS 'Amount in minor units of currency; may be negative.';
COMMENT ON COLUMN core.balance_snapshots.run_id IS 'The run that took the snapshot.';

-- core.fraud_reports: one row a report of fraud, as last observed; core.fraud_report_versions: what it was before.
-- The columns between account and first_seen_at are in the order that resources/warehouse/load.py copies them.
CREATE TABLE core.fraud_reports (
    account                              text NOT NULL,
    report_key                           text COLLATE "C" NOT NULL,
    project_id                           text,
    payment_id                           text,
    operation_id                         text COLLATE "C",
    tr_amount                            numeric,
    tr_ccy                               text,
    tr_amount_minor                      bigint,
    account_number                       text,
    payment_method_type                  text,
    row_updated_at                       timestamptz,
    customer_id                          text,
    project_name                         text,
    arn                                  text,
    fraud_type                           text,
    fraud_report_date                    timestamptz,
    issuer_country                       text,
    received_on                          timestamptz,
    purchase_date                        timestamptz,
    channel_amount_in_usd                numeric,
    issuer_bank_name                     text,
    bin                                  text,
    country_by_ip                        text,
    customer_email                       text,
    report_and_purchase_date_difference  integer,
    extra                                jsonb,
    observed_at                          timestamptz NOT NULL,
    first_seen_at                        timestamptz NOT NULL,
    window_id                            bigint NOT NULL,
    PRIMARY KEY (account, report_key)
);
CREATE INDEX fraud_reports_operation ON core.fraud_reports (operation_id, account);
CREATE INDEX fraud_reports_received ON core.fraud_reports (received_on, account);
CREATE INDEX fraud_reports_window ON core.fraud_reports (window_id);

COMMENT ON TABLE core.fraud_reports IS 'One row a report of fraud by a payment system, as last observed. Amounts come in MAJOR units here; "" of the API is NULL.';
COMMENT ON COLUMN core.fraud_reports.account IS 'Which token''s account it came through (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.fraud_reports.report_key IS 'Our own id of the report: SHA-256 of what identifies it, since the API gives none (docs/decisions/010).';
COMMENT ON COLUMN core.fraud_reports.project_id IS 'The platform''s project id, digits.';
COMMENT ON COLUMN core.fraud_reports.payment_id IS 'The merchant''s own id of the payment.';
COMMENT ON COLUMN core.fraud_reports.operation_id IS 'The platform''s id of the reported operation, digits; an integer in this part of the API, text here as in core.operations.';
COMMENT ON COLUMN core.fraud_reports.tr_amount IS 'Amount of the transaction in MAJOR units of tr_ccy, as given (exact decimal).';
COMMENT ON COLUMN core.fraud_reports.tr_ccy IS 'ISO 4217 alpha-3 code of tr_amount.';
COMMENT ON COLUMN core.fraud_reports.tr_amount_minor IS 'tr_amount in minor units, by the exponent of tr_ccy; NULL when that is not known.';
COMMENT ON COLUMN core.fraud_reports.account_number IS 'Personal data: the payment instrument, a masked card number or a wallet id.';
COMMENT ON COLUMN core.fraud_reports.payment_method_type IS 'For example visa.';
COMMENT ON COLUMN core.fraud_reports.row_updated_at IS 'When the platform last changed the report.';
COMMENT ON COLUMN core.fraud_reports.customer_id IS 'Personal data: the merchant''s own id of the customer.';
COMMENT ON COLUMN core.fraud_reports.project_name IS 'The project''s name.';
COMMENT ON COLUMN core.fraud_reports.arn IS 'Acquirer reference number; leading zeros kept.';
COMMENT ON COLUMN core.fraud_reports.fraud_type IS 'Kind of fraud as the payment system names it.';
COMMENT ON COLUMN core.fraud_reports.fraud_report_date IS 'When the issuer reported it.';
COMMENT ON COLUMN core.fraud_reports.issuer_country IS 'The issuer''s country, ISO 3166-1 alpha-2.';
COMMENT ON COLUMN core.fraud_reports.received_on IS 'When the platform received the report; what the windows of this stream select by.';
COMMENT ON COLUMN core.fraud_reports.purchase_date IS 'When the purchase was made.';
COMMENT ON COLUMN core.fraud_reports.channel_amount_in_usd IS 'Amount in US dollars, MAJOR units, as given (exact decimal); for information.';
COMMENT ON COLUMN core.fraud_reports.issuer_bank_name IS 'The issuer''s name.';
COMMENT ON COLUMN core.fraud_reports.bin IS 'First digits of the card number.';
COMMENT ON COLUMN core.fraud_reports.country_by_ip IS 'The customer''s country by IP address.';
COMMENT ON COLUMN core.fraud_reports.customer_email IS 'Personal data: the customer''s e-mail address.';
COMMENT ON COLUMN core.fraud_reports.report_and_purchase_date_difference IS 'Days from the purchase to the report.';
COMMENT ON COLUMN core.fraud_reports.extra IS 'Fields of the API that this version does not know, as they came, without those that are null; NULL when there are none.';
COMMENT ON COLUMN core.fraud_reports.observed_at IS 'When the request that first brought this state was started.';
COMMENT ON COLUMN core.fraud_reports.first_seen_at IS 'When the report was first observed in any state.';
COMMENT ON COLUMN core.fraud_reports.window_id IS 'The walk that brought this state: sync.windows.window_id.';

CREATE TABLE core.fraud_report_versions (
    LIKE core.fraud_reports INCLUDING COMMENTS,
    known_to                             timestamptz NOT NULL,
    PRIMARY KEY (account, report_key, observed_at)
);
CREATE INDEX fraud_report_versions_window ON core.fraud_report_versions (window_id);

COMMENT ON TABLE core.fraud_report_versions IS 'What a report of fraud was before: known from observed_at until known_to.';
COMMENT ON COLUMN core.fraud_report_versions.observed_at IS 'Known from: when the request that first brought this state was started.';
COMMENT ON COLUMN core.fraud_report_versions.known_to IS 'Known until: when the request that brought the next state was started.';

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

COMMENT ON TABLE core.settings IS 'Settings that belong to the warehouse: written until the first load, then changed by `ecommpay-sync settings apply` alone.';
COMMENT ON COLUMN core.settings.key IS 'reporting_zone, fiscal_year_start_month, currency_exponents, first_day, personal_data (with the fingerprint of its key), and fingerprints of what was built from them.';
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

-- Where the clocks go back over midnight (America/Havana, Atlantic/Azores) a day has two of them: it starts at the first.
CREATE FUNCTION core.business_day_starts_at(business_day date) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT min(moment)
         FROM unnest(ARRAY[interval '2 hours', interval '1 hour', interval '30 minutes', interval '0']) AS earlier,
              LATERAL (SELECT (business_day::timestamp AT TIME ZONE s.value) - earlier AS moment) AS moments
         WHERE (moment AT TIME ZONE s.value)::date = business_day),
        business_day::timestamp AT TIME ZONE s.value)
    FROM core.settings s WHERE s.key = 'reporting_zone';
END;
COMMENT ON FUNCTION core.business_day_starts_at(date) IS 'First moment of a business day in the reporting zone; the day ends where the next one starts.';

-- Projects that the tokens of several accounts see: the marts count each for one account. Which projects an account's
-- token has shown is added to by each build of the marts.
CREATE TABLE core.account_projects (
    account             text NOT NULL,
    project_id          text NOT NULL,
    first_committed_at  timestamptz NOT NULL,
    is_counted          boolean NOT NULL DEFAULT true,
    PRIMARY KEY (account, project_id)
);

COMMENT ON TABLE core.account_projects IS 'Every project that an account''s token has shown, and whether the marts count it for that account: of several accounts one only.';
COMMENT ON COLUMN core.account_projects.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.account_projects.project_id IS 'The platform''s project id, digits.';
COMMENT ON COLUMN core.account_projects.first_committed_at IS 'When the first window with the project was committed for this account.';
COMMENT ON COLUMN core.account_projects.is_counted IS 'Whether bi.* counts it here: the owner that the settings name, else the account that saw it first.';

CREATE TABLE core.project_owners (
    account     text NOT NULL,
    project_id  text NOT NULL UNIQUE,
    PRIMARY KEY (account, project_id)
);

COMMENT ON TABLE core.project_owners IS 'Whose a project is by the settings (SYNC_PROJECT_OWNERS or [projects] of ACCOUNTS_FILE), as of the last build of the marts.';
COMMENT ON COLUMN core.project_owners.account IS 'The account for which the marts count it, once its token has shown it.';
COMMENT ON COLUMN core.project_owners.project_id IS 'The platform''s project id, digits.';

-- core.documents: one row a document of an endpoint whose response format is not described to us, as last observed;
-- core.document_versions: what it was before. The columns between account and first_seen_at are in the order that
-- resources/warehouse/load.py copies them.
CREATE TABLE core.documents (
    account           text NOT NULL,
    stream            text COLLATE "C" NOT NULL,
    document_key      text COLLATE "C" NOT NULL,
    endpoint          text NOT NULL,
    document          jsonb NOT NULL,
    document_sha256   text NOT NULL,
    observed_at       timestamptz NOT NULL,
    first_seen_at     timestamptz NOT NULL,
    window_id         bigint NOT NULL,
    PRIMARY KEY (account, stream, document_key)
);
CREATE INDEX documents_window ON core.documents (window_id);

COMMENT ON TABLE core.documents IS 'One row a document of an endpoint without a described response format (DOCUMENTS_FILE), as last observed. May hold personal data anywhere.';
COMMENT ON COLUMN core.documents.account IS 'Which token''s account it came through (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.documents.stream IS 'documents: and the name of the stream in DOCUMENTS_FILE; as in sync.windows and core.rejects.';
COMMENT ON COLUMN core.documents.document_key IS 'Its identity: the value at the configured path, a JSON list of the values at several; without a configured key, document_sha256 at first sight.';
COMMENT ON COLUMN core.documents.endpoint IS 'Endpoint of the Data API it came from, for example chargeback/list.';
COMMENT ON COLUMN core.documents.document IS 'Personal data, possibly: the document as it came; numbers exact at any size.';
COMMENT ON COLUMN core.documents.document_sha256 IS 'SHA-256 of the document''s canonical text: keys sorted, no spaces, numbers spelled as they came.';
COMMENT ON COLUMN core.documents.observed_at IS 'When the request that first brought this state was started; of a version, known from.';
COMMENT ON COLUMN core.documents.first_seen_at IS 'When the document was first observed in any state.';
COMMENT ON COLUMN core.documents.window_id IS 'The walk that brought this state: sync.windows.window_id.';

CREATE TABLE core.document_versions (
    LIKE core.documents INCLUDING COMMENTS,
    known_to          timestamptz NOT NULL,
    PRIMARY KEY (account, stream, document_key, observed_at)
);
CREATE INDEX document_versions_window ON core.document_versions (window_id);

COMMENT ON TABLE core.document_versions IS 'What a document was before: known from observed_at until known_to. May hold personal data anywhere.';
COMMENT ON COLUMN core.document_versions.known_to IS 'Known until: when the request that brought the next state was started.';

CREATE FUNCTION core.documents_as_of(moment timestamptz) RETURNS SETOF core.documents
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT d.* FROM core.documents d WHERE d.observed_at <= moment
    UNION ALL
    SELECT v.account, v.stream, v.document_key, v.endpoint, v.document, v.document_sha256, v.observed_at,
           v.first_seen_at, v.window_id
    FROM core.document_versions v WHERE v.observed_at <= moment AND v.known_to > moment;
END;
COMMENT ON FUNCTION core.documents_as_of(timestamptz) IS 'Every document as it was known at a moment: one row each, in the columns of core.documents.';

-- The columns are those that the table has, so that a new one is not forgotten; a row is read whole only where its texts
-- together match, since most do not.
CREATE FUNCTION core.texts_like(relation regclass, left_out text[], walks bigint[], pattern text)
RETURNS TABLE (column_name text, value text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    texts text;
    named text;
BEGIN
    SELECT string_agg('o.' || quote_ident(a.attname), ', '),
           string_agg('(' || quote_literal(a.attname) || ', o.' || quote_ident(a.attname) || '::text)', ', ')
    INTO texts, named
    FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
      AND a.atttypid IN ('text'::regtype, 'jsonb'::regtype)
      AND a.attname <> 'account' AND a.attname <> ALL (left_out);
    RETURN QUERY EXECUTE
        'SELECT t.column_name, t.value FROM ' || relation || ' o CROSS JOIN LATERAL (VALUES ' || named
        || ') AS t (column_name, value) WHERE o.window_id = ANY ($1) AND concat_ws(chr(10), ' || texts
        || ') ~ $2 AND t.value ~ $2'
    USING walks, pattern;
END $$;
COMMENT ON FUNCTION core.texts_like(regclass, text[], bigint[], text) IS 'The texts in rows that these walks wrote which match a pattern, each with its column; jsonb as text.';

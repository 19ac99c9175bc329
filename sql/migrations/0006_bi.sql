-- Schema bi: the tables of the marts. Their views are in sql/bi and are made again whenever they have changed; the
-- references of the facts to the dimensions are there too, and are made by the first build.

CREATE SCHEMA IF NOT EXISTS bi;
COMMENT ON SCHEMA bi IS 'What reports and dashboards read: facts, dimensions, daily figures. No personal data.';

CREATE TABLE bi.dim_date (
    business_date        date PRIMARY KEY,
    iso_year             integer NOT NULL,
    iso_week             integer NOT NULL,
    iso_weekday          integer NOT NULL,
    week_start_date      date NOT NULL,
    calendar_year        integer NOT NULL,
    calendar_quarter     integer NOT NULL,
    calendar_month       integer NOT NULL,
    month_start_date     date NOT NULL,
    month_end_date       date NOT NULL,
    is_month_end         boolean NOT NULL,
    is_weekend           boolean NOT NULL,
    fiscal_year          integer NOT NULL,
    fiscal_quarter       integer NOT NULL,
    fiscal_month         integer NOT NULL,
    fiscal_year_start_date date NOT NULL
);

COMMENT ON TABLE bi.dim_date IS 'One row a business day: ISO week, month, fiscal year (SYNC_FISCAL_START_MONTH).';
COMMENT ON COLUMN bi.dim_date.business_date IS 'The day, in the reporting zone (SYNC_REPORTING_ZONE).';
COMMENT ON COLUMN bi.dim_date.iso_year IS 'Year of the ISO 8601 week.';
COMMENT ON COLUMN bi.dim_date.iso_week IS 'ISO 8601 week, 1 to 53.';
COMMENT ON COLUMN bi.dim_date.iso_weekday IS '1 Monday to 7 Sunday.';
COMMENT ON COLUMN bi.dim_date.week_start_date IS 'Monday of the ISO week.';
COMMENT ON COLUMN bi.dim_date.calendar_year IS 'Calendar year.';
COMMENT ON COLUMN bi.dim_date.calendar_quarter IS 'Calendar quarter, 1 to 4.';
COMMENT ON COLUMN bi.dim_date.calendar_month IS 'Calendar month, 1 to 12.';
COMMENT ON COLUMN bi.dim_date.month_start_date IS 'First day of the month.';
COMMENT ON COLUMN bi.dim_date.month_end_date IS 'Last day of the month.';
COMMENT ON COLUMN bi.dim_date.is_month_end IS 'Whether it is the last day of its month.';
COMMENT ON COLUMN bi.dim_date.is_weekend IS 'Saturday or Sunday.';
COMMENT ON COLUMN bi.dim_date.fiscal_year IS 'Fiscal year, named by the calendar year in which it ends.';
COMMENT ON COLUMN bi.dim_date.fiscal_quarter IS 'Quarter of the fiscal year, 1 to 4.';
COMMENT ON COLUMN bi.dim_date.fiscal_month IS 'Month of the fiscal year, 1 to 12.';
COMMENT ON COLUMN bi.dim_date.fiscal_year_start_date IS 'First day of the fiscal year.';

CREATE TABLE bi.dim_project (
    account           text NOT NULL,
    project_id        text NOT NULL,
    project_name      text,
    name_observed_at  timestamptz,
    PRIMARY KEY (account, project_id)
);

COMMENT ON TABLE bi.dim_project IS 'One row a project ever met; "(none)" stands for operations without one.';
COMMENT ON COLUMN bi.dim_project.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.dim_project.project_id IS 'The platform''s project id, digits; "(none)": the operation had none.';
COMMENT ON COLUMN bi.dim_project.project_name IS 'Its name as last observed; NULL unless SYNC_FIELDS asks for project_name.';
COMMENT ON COLUMN bi.dim_project.name_observed_at IS 'When that name was last observed to be new.';

CREATE TABLE bi.dim_operation_status (
    operation_type    text NOT NULL,
    operation_status  text NOT NULL,
    is_final          boolean NOT NULL,
    is_success        boolean NOT NULL,
    is_money          boolean NOT NULL,
    sign              smallint NOT NULL,
    PRIMARY KEY (operation_type, operation_status)
);

COMMENT ON TABLE bi.dim_operation_status IS 'One row a pair of type and status: what it means for money and for approval.';
COMMENT ON COLUMN bi.dim_operation_status.operation_type IS 'Type as the API names it; "(none)": missing.';
COMMENT ON COLUMN bi.dim_operation_status.operation_status IS 'Status as the API names it; "(none)": missing.';
COMMENT ON COLUMN bi.dim_operation_status.is_final IS 'No further status is expected; false for a status that this version does not know.';
COMMENT ON COLUMN bi.dim_operation_status.is_success IS 'Approved.';
COMMENT ON COLUMN bi.dim_operation_status.is_money IS 'Whether an operation of this type moves money when it succeeds.';
COMMENT ON COLUMN bi.dim_operation_status.sign IS 'What this pair does to the merchant''s money: 1 credit, -1 debit, 0 nothing (also when it did not succeed).';

CREATE TABLE bi.daily_overview (
    account           text NOT NULL,
    business_date     date NOT NULL,
    project_id        text NOT NULL,
    currency          text NOT NULL,
    operation_type    text NOT NULL,
    operation_status  text NOT NULL,
    operations        bigint NOT NULL,
    amount_minor      numeric(38, 0),
    amount            numeric,
    PRIMARY KEY (account, business_date, project_id, currency, operation_type, operation_status)
);
CREATE INDEX daily_overview_date ON bi.daily_overview (business_date);

COMMENT ON TABLE bi.daily_overview IS 'Count and amount of operations by business day, project, currency, type and status.';
COMMENT ON COLUMN bi.daily_overview.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.daily_overview.business_date IS 'Day of completion in the reporting zone; while an operation is not completed, the day of its creation.';
COMMENT ON COLUMN bi.daily_overview.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.daily_overview.currency IS 'ISO 4217 alpha-3 code of the amounts; "(none)": missing.';
COMMENT ON COLUMN bi.daily_overview.operation_type IS 'Type as the API names it; "(none)": missing.';
COMMENT ON COLUMN bi.daily_overview.operation_status IS 'Status as the API names it; "(none)": missing.';
COMMENT ON COLUMN bi.daily_overview.operations IS 'How many operations.';
COMMENT ON COLUMN bi.daily_overview.amount_minor IS 'Sum in minor units of currency, without sign; NULL when no operation has an amount.';
COMMENT ON COLUMN bi.daily_overview.amount IS 'The same in major units; NULL when the currency''s decimals are not known.';

CREATE TABLE bi.fct_payments (
    account              text NOT NULL,
    project_id           text NOT NULL,
    payment_id           text NOT NULL,
    currency             text NOT NULL,
    payment_status       text NOT NULL,
    operations           bigint NOT NULL,
    authorised_minor     numeric(38, 0) NOT NULL,
    authorised           numeric,
    captured_minor       numeric(38, 0) NOT NULL,
    captured             numeric,
    sold_minor           numeric(38, 0) NOT NULL,
    sold                 numeric,
    refunded_minor       numeric(38, 0) NOT NULL,
    refunded             numeric,
    reversed_minor       numeric(38, 0) NOT NULL,
    reversed             numeric,
    paid_out_minor       numeric(38, 0) NOT NULL,
    paid_out             numeric,
    net_minor            numeric(38, 0) NOT NULL,
    net                  numeric,
    is_pending           boolean NOT NULL,
    first_operation_at   timestamptz NOT NULL,
    first_operation_date date NOT NULL,
    last_operation_at    timestamptz NOT NULL,
    last_operation_date  date NOT NULL,
    first_approved_at    timestamptz,
    PRIMARY KEY (account, payment_id, project_id, currency)
);
CREATE INDEX fct_payments_first ON bi.fct_payments (first_operation_date);
CREATE INDEX fct_payments_payment ON bi.fct_payments (payment_id);

COMMENT ON TABLE bi.fct_payments IS 'One row a payment and currency: what was authorised, captured, sold, refunded, reversed and paid out by its successful operations. Operations without a payment_id are in no payment.';
COMMENT ON COLUMN bi.fct_payments.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.fct_payments.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.fct_payments.payment_id IS 'The merchant''s own id of the payment, unique within a project.';
COMMENT ON COLUMN bi.fct_payments.currency IS 'ISO 4217 alpha-3 code of all amounts of the row; "(none)": missing.';
COMMENT ON COLUMN bi.fct_payments.payment_status IS 'refunded, partially refunded, paid, paid out, cancelled, authorised, pending, verified, declined: the first that holds (docs/bi.md).';
COMMENT ON COLUMN bi.fct_payments.operations IS 'How many operations it has, whatever their status.';
COMMENT ON COLUMN bi.fct_payments.authorised_minor IS 'Successful auth, in minor units of currency.';
COMMENT ON COLUMN bi.fct_payments.authorised IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_payments.captured_minor IS 'Successful capture, in minor units of currency.';
COMMENT ON COLUMN bi.fct_payments.captured IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_payments.sold_minor IS 'Successful sale and recurring, in minor units of currency.';
COMMENT ON COLUMN bi.fct_payments.sold IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_payments.refunded_minor IS 'Successful refund, in minor units of currency.';
COMMENT ON COLUMN bi.fct_payments.refunded IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_payments.reversed_minor IS 'Successful reversal, in minor units of currency.';
COMMENT ON COLUMN bi.fct_payments.reversed IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_payments.paid_out_minor IS 'Successful payout, in minor units of currency.';
COMMENT ON COLUMN bi.fct_payments.paid_out IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_payments.net_minor IS 'Credits minus debits by the sign of each type (core.operation_types), in minor units of currency.';
COMMENT ON COLUMN bi.fct_payments.net IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_payments.is_pending IS 'Whether an operation of it has no final status yet.';
COMMENT ON COLUMN bi.fct_payments.first_operation_at IS 'When its first operation was created.';
COMMENT ON COLUMN bi.fct_payments.first_operation_date IS 'Business day of first_operation_at.';
COMMENT ON COLUMN bi.fct_payments.last_operation_at IS 'When its last operation was completed (created, while it is not).';
COMMENT ON COLUMN bi.fct_payments.last_operation_date IS 'Business day of last_operation_at.';
COMMENT ON COLUMN bi.fct_payments.first_approved_at IS 'When its first operation succeeded; NULL: none did.';

CREATE TABLE bi.fct_balances_daily (
    account           text NOT NULL,
    business_date     date NOT NULL,
    balance_name      text NOT NULL,
    currency          text NOT NULL,
    opening_minor     numeric(38, 0) NOT NULL,
    opening           numeric,
    closing_minor     numeric(38, 0) NOT NULL,
    closing           numeric,
    lowest_minor      numeric(38, 0) NOT NULL,
    highest_minor     numeric(38, 0) NOT NULL,
    lowest            numeric,
    highest           numeric,
    snapshots         bigint NOT NULL,
    first_captured_at timestamptz NOT NULL,
    last_captured_at  timestamptz NOT NULL,
    PRIMARY KEY (account, business_date, balance_name, currency)
);
CREATE INDEX fct_balances_daily_date ON bi.fct_balances_daily (business_date);

COMMENT ON TABLE bi.fct_balances_daily IS 'Each balance by business day: first, last, lowest and highest snapshot. Two balances of one name and currency are summed.';
COMMENT ON COLUMN bi.fct_balances_daily.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.fct_balances_daily.business_date IS 'Day of the snapshots in the reporting zone.';
COMMENT ON COLUMN bi.fct_balances_daily.balance_name IS 'The balance''s own name.';
COMMENT ON COLUMN bi.fct_balances_daily.currency IS 'ISO 4217 alpha-3 code of the amounts.';
COMMENT ON COLUMN bi.fct_balances_daily.opening_minor IS 'First snapshot of the day, in minor units of currency.';
COMMENT ON COLUMN bi.fct_balances_daily.opening IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_balances_daily.closing_minor IS 'Last snapshot of the day, in minor units of currency.';
COMMENT ON COLUMN bi.fct_balances_daily.closing IS 'The same in major units.';
COMMENT ON COLUMN bi.fct_balances_daily.lowest_minor IS 'Lowest snapshot of the day, in minor units of currency.';
COMMENT ON COLUMN bi.fct_balances_daily.highest_minor IS 'Highest snapshot of the day, in minor units of currency.';
COMMENT ON COLUMN bi.fct_balances_daily.lowest IS 'lowest_minor in major units.';
COMMENT ON COLUMN bi.fct_balances_daily.highest IS 'highest_minor in major units.';
COMMENT ON COLUMN bi.fct_balances_daily.snapshots IS 'How many snapshots of that day show the balance.';
COMMENT ON COLUMN bi.fct_balances_daily.first_captured_at IS 'When the first snapshot was taken.';
COMMENT ON COLUMN bi.fct_balances_daily.last_captured_at IS 'When the last snapshot was taken; the platform lags by up to 30 minutes.';

CREATE TABLE bi.approval_by_method_daily (
    account             text NOT NULL,
    business_date       date NOT NULL,
    project_id          text NOT NULL,
    currency            text NOT NULL,
    operation_type      text NOT NULL,
    payment_method_type text NOT NULL,
    country_by_bin      text NOT NULL,
    bin                 text NOT NULL,
    attempts            bigint NOT NULL,
    approved            bigint NOT NULL,
    declined            bigint NOT NULL,
    failed              bigint NOT NULL,
    attempted_minor     numeric(38, 0) NOT NULL,
    attempted           numeric,
    approved_minor      numeric(38, 0) NOT NULL,
    approved_amount     numeric,
    PRIMARY KEY (account, business_date, project_id, currency, operation_type, payment_method_type, country_by_bin, bin)
);
CREATE INDEX approval_by_method_daily_date ON bi.approval_by_method_daily (business_date);

COMMENT ON TABLE bi.approval_by_method_daily IS 'Approval by business day, project, currency, type, payment method, issuer''s country and BIN. An attempt is a sale, auth or recurring that came to an end: success, decline or error. To sum up, divide sum(approved) by sum(attempts). Country and BIN are there when SYNC_FIELDS asks for country_by_bin and bin.';
COMMENT ON COLUMN bi.approval_by_method_daily.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.approval_by_method_daily.business_date IS 'Day of completion in the reporting zone.';
COMMENT ON COLUMN bi.approval_by_method_daily.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.approval_by_method_daily.currency IS 'ISO 4217 alpha-3 code of the amounts; "(none)": missing.';
COMMENT ON COLUMN bi.approval_by_method_daily.operation_type IS 'sale, auth or recurring.';
COMMENT ON COLUMN bi.approval_by_method_daily.payment_method_type IS 'Type of the payment method, for example visa; "(none)": missing.';
COMMENT ON COLUMN bi.approval_by_method_daily.country_by_bin IS 'The issuer''s country; "(none)": missing.';
COMMENT ON COLUMN bi.approval_by_method_daily.bin IS 'First digits of the card number; "(none)": missing.';
COMMENT ON COLUMN bi.approval_by_method_daily.attempts IS 'How many came to an end.';
COMMENT ON COLUMN bi.approval_by_method_daily.approved IS 'How many of them with success.';
COMMENT ON COLUMN bi.approval_by_method_daily.declined IS 'How many of them with decline: the issuer or a rule said no.';
COMMENT ON COLUMN bi.approval_by_method_daily.failed IS 'How many of them with error: something technical.';
COMMENT ON COLUMN bi.approval_by_method_daily.attempted_minor IS 'Sum of the attempts in minor units of currency.';
COMMENT ON COLUMN bi.approval_by_method_daily.attempted IS 'The same in major units.';
COMMENT ON COLUMN bi.approval_by_method_daily.approved_minor IS 'Sum of the approved in minor units of currency.';
COMMENT ON COLUMN bi.approval_by_method_daily.approved_amount IS 'The same in major units.';

CREATE TABLE bi.decline_reasons_daily (
    account                  text NOT NULL,
    business_date            date NOT NULL,
    project_id               text NOT NULL,
    currency                 text NOT NULL,
    operation_type           text NOT NULL,
    operation_status         text NOT NULL,
    payment_method_type      text NOT NULL,
    payment_provider_code    text NOT NULL,
    payment_provider_message text NOT NULL,
    operations               bigint NOT NULL,
    amount_minor             numeric(38, 0),
    amount                   numeric,
    PRIMARY KEY (account, business_date, project_id, currency, operation_type, operation_status, payment_method_type,
                 payment_provider_code, payment_provider_message)
);
CREATE INDEX decline_reasons_daily_date ON bi.decline_reasons_daily (business_date);

COMMENT ON TABLE bi.decline_reasons_daily IS 'Attempts that were declined or failed, by business day, project, currency, type, status, payment method and the provider''s own code and words.';
COMMENT ON COLUMN bi.decline_reasons_daily.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.decline_reasons_daily.business_date IS 'Day of completion in the reporting zone.';
COMMENT ON COLUMN bi.decline_reasons_daily.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.decline_reasons_daily.currency IS 'ISO 4217 alpha-3 code of the amounts; "(none)": missing.';
COMMENT ON COLUMN bi.decline_reasons_daily.operation_type IS 'sale, auth or recurring.';
COMMENT ON COLUMN bi.decline_reasons_daily.operation_status IS 'decline: the issuer or a rule said no; error: something technical.';
COMMENT ON COLUMN bi.decline_reasons_daily.payment_method_type IS 'Type of the payment method, for example visa; "(none)": missing.';
COMMENT ON COLUMN bi.decline_reasons_daily.payment_provider_code IS 'The issuer''s or provider''s answer code; leading zeros kept; "(none)": missing.';
COMMENT ON COLUMN bi.decline_reasons_daily.payment_provider_message IS 'The issuer''s or provider''s answer in words, its first 200 characters; "(none)": missing.';
COMMENT ON COLUMN bi.decline_reasons_daily.operations IS 'How many operations.';
COMMENT ON COLUMN bi.decline_reasons_daily.amount_minor IS 'Sum in minor units of currency; NULL when no operation has an amount.';
COMMENT ON COLUMN bi.decline_reasons_daily.amount IS 'The same in major units; NULL when the currency''s decimals are not known.';

CREATE TABLE bi.fct_retries (
    account                  text NOT NULL,
    project_id               text NOT NULL,
    payment_id               text NOT NULL,
    currency                 text NOT NULL,
    first_failed_at          timestamptz NOT NULL,
    first_failed_date        date NOT NULL,
    first_failed_status      text NOT NULL,
    payment_provider_code    text,
    payment_provider_message text,
    retries                  bigint NOT NULL,
    outcome                  text NOT NULL,
    last_attempt_at          timestamptz NOT NULL,
    approved_at              timestamptz,
    minutes_to_approval      bigint,
    amount_minor             bigint,
    amount                   numeric,
    PRIMARY KEY (account, payment_id, project_id, currency)
);
CREATE INDEX fct_retries_date ON bi.fct_retries (first_failed_date);

COMMENT ON TABLE bi.fct_retries IS 'One row a payment and currency that was tried again after a sale, auth or recurring of it was declined or failed, and how that ended.';
COMMENT ON COLUMN bi.fct_retries.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.fct_retries.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.fct_retries.payment_id IS 'The merchant''s own id of the payment, unique within a project.';
COMMENT ON COLUMN bi.fct_retries.currency IS 'ISO 4217 alpha-3 code of the amounts; "(none)": missing.';
COMMENT ON COLUMN bi.fct_retries.first_failed_at IS 'When the first attempt that was declined or failed came to its end.';
COMMENT ON COLUMN bi.fct_retries.first_failed_date IS 'Business day of first_failed_at.';
COMMENT ON COLUMN bi.fct_retries.first_failed_status IS 'How it ended: decline or error.';
COMMENT ON COLUMN bi.fct_retries.payment_provider_code IS 'The issuer''s or provider''s answer code to it; leading zeros kept.';
COMMENT ON COLUMN bi.fct_retries.payment_provider_message IS 'The issuer''s or provider''s answer to it in words.';
COMMENT ON COLUMN bi.fct_retries.retries IS 'How many attempts were begun after it.';
COMMENT ON COLUMN bi.fct_retries.outcome IS 'approved: a later attempt succeeded; else pending: the last one has no final status; else declined or failed: how the last one ended.';
COMMENT ON COLUMN bi.fct_retries.last_attempt_at IS 'When the last attempt was completed (created, while it is not).';
COMMENT ON COLUMN bi.fct_retries.approved_at IS 'When the first later attempt succeeded; NULL: none did.';
COMMENT ON COLUMN bi.fct_retries.minutes_to_approval IS 'Whole minutes from first_failed_at to approved_at.';
COMMENT ON COLUMN bi.fct_retries.amount_minor IS 'Amount of the first attempt that was declined or failed, in minor units of currency.';
COMMENT ON COLUMN bi.fct_retries.amount IS 'The same in major units; NULL when the currency''s decimals are not known.';

CREATE TABLE bi.fct_refunds (
    account         text NOT NULL,
    operation_id    text NOT NULL,
    project_id      text NOT NULL,
    payment_id      text NOT NULL,
    operation_type  text NOT NULL,
    currency        text NOT NULL,
    amount_minor    bigint,
    amount          numeric,
    refunded_at     timestamptz NOT NULL,
    refunded_date   date NOT NULL,
    sold_at         timestamptz,
    sold_date       date,
    days_to_refund  integer,
    hours_to_refund bigint,
    PRIMARY KEY (account, operation_id)
);
CREATE INDEX fct_refunds_refunded ON bi.fct_refunds (refunded_date);
CREATE INDEX fct_refunds_sold ON bi.fct_refunds (sold_date);
CREATE INDEX fct_refunds_payment ON bi.fct_refunds (account, payment_id);

COMMENT ON TABLE bi.fct_refunds IS 'One row a successful refund or reversal of a payment, with the sale that it gives back: the last successful sale, capture or recurring of the payment and currency that is not after it.';
COMMENT ON COLUMN bi.fct_refunds.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.fct_refunds.operation_id IS 'The platform''s id of the refund or reversal, digits.';
COMMENT ON COLUMN bi.fct_refunds.project_id IS 'The platform''s project id; "(none)": missing.';
COMMENT ON COLUMN bi.fct_refunds.payment_id IS 'The merchant''s own id of the payment.';
COMMENT ON COLUMN bi.fct_refunds.operation_type IS 'refund or reversal.';
COMMENT ON COLUMN bi.fct_refunds.currency IS 'ISO 4217 alpha-3 code of amount_minor and amount; "(none)": missing.';
COMMENT ON COLUMN bi.fct_refunds.amount_minor IS 'What was given back, in minor units of currency.';
COMMENT ON COLUMN bi.fct_refunds.amount IS 'The same in major units; NULL when the currency''s decimals are not known.';
COMMENT ON COLUMN bi.fct_refunds.refunded_at IS 'When it was completed.';
COMMENT ON COLUMN bi.fct_refunds.refunded_date IS 'Business day of refunded_at.';
COMMENT ON COLUMN bi.fct_refunds.sold_at IS 'When the sale was completed; NULL: the store has none.';
COMMENT ON COLUMN bi.fct_refunds.sold_date IS 'Business day of sold_at.';
COMMENT ON COLUMN bi.fct_refunds.days_to_refund IS 'Business days from sold_date to refunded_date.';
COMMENT ON COLUMN bi.fct_refunds.hours_to_refund IS 'Whole hours from sold_at to refunded_at.';

CREATE FUNCTION bi.closed_through(of_account text) RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT max(business_date) FROM recon.closed_days WHERE account = of_account;
END;
COMMENT ON FUNCTION bi.closed_through(text) IS 'Last business day that finance has closed for an account; NULL: none.';

CREATE FUNCTION bi.today() RETURNS date LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
BEGIN ATOMIC
    SELECT core.business_date(now());
END;
COMMENT ON FUNCTION bi.today() IS 'The business day of now, in the reporting zone; current_date is that of the session''s zone.';

CREATE FUNCTION bi.day_starts_at(business_day date) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
BEGIN ATOMIC
    SELECT core.business_day_starts_at(business_day);
END;
COMMENT ON FUNCTION bi.day_starts_at(date) IS 'First moment of a business day in the reporting zone.';

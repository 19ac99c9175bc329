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
CREATE INDEX fraud_reports_operation ON core.fraud_reports (account, operation_id);
CREATE INDEX fraud_reports_received ON core.fraud_reports (account, received_on);
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
COMMENT ON COLUMN core.fraud_reports.extra IS 'Fields of the API that this version does not know, as they came; NULL when there are none.';
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

-- The ledger's control totals now count what a walk of either stream wrote; window ids are unique over all streams.
CREATE OR REPLACE FUNCTION sync.written_totals(walk bigint) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(to_jsonb(total) ORDER BY total.currency, total.type, total.status), '[]')
    FROM (
        SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor
        FROM (
            SELECT sum_initial_currency COLLATE "C" AS currency, operation_type COLLATE "C" AS type,
                   operation_status COLLATE "C" AS status, sum_initial_amount AS minor
            FROM core.operations WHERE window_id = walk
            UNION ALL
            SELECT sum_initial_currency COLLATE "C", operation_type COLLATE "C",
                   operation_status COLLATE "C", sum_initial_amount
            FROM core.operation_versions WHERE window_id = walk
            UNION ALL
            SELECT tr_ccy COLLATE "C", fraud_type COLLATE "C", NULL, tr_amount_minor
            FROM core.fraud_reports WHERE window_id = walk
            UNION ALL
            SELECT tr_ccy COLLATE "C", fraud_type COLLATE "C", NULL, tr_amount_minor
            FROM core.fraud_report_versions WHERE window_id = walk
        ) AS written
        GROUP BY currency, type, status
    ) AS total;
END;

COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations, fraud or balances.';
COMMENT ON COLUMN sync.windows.stream IS 'What was walked: operations or fraud.';
COMMENT ON COLUMN sync.windows.rows_met IS 'Rows (operations or reports) met, each counted once, rejects included.';
COMMENT ON COLUMN sync.windows.rows_new IS 'Rows not in the store before.';
COMMENT ON COLUMN sync.windows.rows_changed IS 'Rows whose stored state was replaced.';
COMMENT ON COLUMN sync.windows.rows_unchanged IS 'Rows already stored in this, or a later observed, state.';
COMMENT ON COLUMN sync.windows.rows_digest IS 'SHA-256 of the typed rows met, sorted by their key: see docs/architecture.md.';
COMMENT ON COLUMN sync.coverage.stream IS 'What was walked: operations or fraud.';
COMMENT ON COLUMN core.rejects.stream IS 'operations, fraud or balances.';

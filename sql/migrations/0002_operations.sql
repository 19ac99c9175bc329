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
CREATE INDEX operations_completed ON core.operations (account, operation_completed_at);
CREATE INDEX operations_payment ON core.operations (account, payment_id);
CREATE INDEX operations_window ON core.operations (window_id);

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
COMMENT ON COLUMN core.operations.extra IS 'Fields of the API that this version does not know, as they came; NULL when there are none.';
COMMENT ON COLUMN core.operations.observed_at IS 'When the request that first brought this state was started.';
COMMENT ON COLUMN core.operations.first_seen_at IS 'When the operation was first observed in any state.';
COMMENT ON COLUMN core.operations.window_id IS 'The walk that brought this state: sync.windows.window_id.';

CREATE TABLE core.operation_versions (
    LIKE core.operations INCLUDING COMMENTS,
    known_to                  timestamptz NOT NULL,
    PRIMARY KEY (account, operation_id, observed_at)
);
CREATE INDEX operation_versions_window ON core.operation_versions (window_id);
CREATE INDEX operation_versions_known_to ON core.operation_versions (account, known_to);

COMMENT ON TABLE core.operation_versions IS 'What an operation was before: known from observed_at until known_to.';
COMMENT ON COLUMN core.operation_versions.operation_id IS 'The platform''s id of the operation.';
COMMENT ON COLUMN core.operation_versions.extra IS 'Fields of the API that this version does not know, as they came.';
COMMENT ON COLUMN core.operation_versions.observed_at IS 'Known from: when the request that first brought this state was started.';
COMMENT ON COLUMN core.operation_versions.known_to IS 'Known until: when the request that brought the next state was started.';

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

CREATE FUNCTION sync.written_totals(walk bigint) RETURNS jsonb
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
        ) AS written
        GROUP BY currency, type, status
    ) AS total;
END;
COMMENT ON FUNCTION sync.written_totals(bigint) IS 'Control totals of what one walk wrote, as the store holds it now; must equal the ledger''s totals_written for ever.';

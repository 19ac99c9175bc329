-- Erasing a person's data: what was erased when, without the person; and the business day of today for readers of bi.*.

CREATE TABLE sync.erasures (
    account            text NOT NULL,
    erasure_id         bigint GENERATED ALWAYS AS IDENTITY,
    erased_at          timestamptz NOT NULL DEFAULT now(),
    operations         bigint NOT NULL,
    operation_versions bigint NOT NULL,
    fraud_reports      bigint NOT NULL,
    rejects            bigint NOT NULL,
    pages              bigint NOT NULL,
    PRIMARY KEY (account, erasure_id)
);
COMMENT ON TABLE sync.erasures IS 'One row each time a person''s data was erased (ecommpay-sync erase); it does not say whose.';
COMMENT ON COLUMN sync.erasures.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.erasures.erasure_id IS 'Number of the erasure.';
COMMENT ON COLUMN sync.erasures.erased_at IS 'When it was done.';
COMMENT ON COLUMN sync.erasures.operations IS 'Rows of core.operations that lost their personal columns.';
COMMENT ON COLUMN sync.erasures.operation_versions IS 'Rows of core.operation_versions that did.';
COMMENT ON COLUMN sync.erasures.fraud_reports IS 'Rows of core.fraud_reports and of its versions that did.';
COMMENT ON COLUMN sync.erasures.rejects IS 'Rows of core.rejects whose JSON was redacted.';
COMMENT ON COLUMN sync.erasures.pages IS 'Raw pages whose body was redacted.';

ALTER TABLE raw.pages ADD COLUMN erased_at timestamptz;
COMMENT ON COLUMN raw.pages.erased_at IS 'When a person''s fields were taken out of the body, which the signature and digest no longer fit since; NULL: as it came.';

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

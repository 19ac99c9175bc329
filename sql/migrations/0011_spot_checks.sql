-- sync.spot_checks: payments asked for by id, against what the store holds.

CREATE TABLE sync.spot_checks (
    account           text NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    payment_id        text NOT NULL,
    operation_id      text NOT NULL,
    field             text NOT NULL,
    outcome           text NOT NULL CHECK (outcome IN ('equal', 'not loaded', 'changed since', 'different')),
    stored            text,
    answered          text,
    asked_at          timestamptz NOT NULL,
    PRIMARY KEY (account, run_id, payment_id, operation_id, field)
);
CREATE INDEX spot_checks_latest ON sync.spot_checks (account, asked_at DESC);

COMMENT ON TABLE sync.spot_checks IS 'A sample of payments, asked for by id every night and compared with core.operations: one row an operation that is equal, one row for each field that is not.';
COMMENT ON COLUMN sync.spot_checks.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.spot_checks.run_id IS 'The run that asked.';
COMMENT ON COLUMN sync.spot_checks.payment_id IS 'The payment that was asked for.';
COMMENT ON COLUMN sync.spot_checks.operation_id IS 'The operation that was compared.';
COMMENT ON COLUMN sync.spot_checks.field IS 'The field that differs; operation: it is missing on one side; empty: all of it is equal.';
COMMENT ON COLUMN sync.spot_checks.outcome IS 'equal; not loaded: its day is not covered; changed since: equal once what came after the last walk was loaded and it was asked for again; different.';
COMMENT ON COLUMN sync.spot_checks.stored IS 'What the store holds; NULL when equal, or missing in the store.';
COMMENT ON COLUMN sync.spot_checks.answered IS 'What the platform answered; NULL when equal, or missing in the answer.';
COMMENT ON COLUMN sync.spot_checks.asked_at IS 'When the (last) request was started.';
COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations, fraud, balances or spot check.';

-- The merchant's own books (filled by `ecommpay-sync ledger import`, or by the merchant's own ETL: docs/reconciliation.md),
-- and how far amounts may differ from the platform's.

CREATE SCHEMA recon;
COMMENT ON SCHEMA recon IS 'The platform against the merchant''s own books and balances: entries, matches, breaks, closed days.';

CREATE TABLE recon.ledger_imports (
    account         text NOT NULL,
    import_id       bigint GENERATED ALWAYS AS IDENTITY,
    file_name       text NOT NULL,
    file_sha256     bytea NOT NULL,
    rows_read       bigint NOT NULL,
    rows_new        bigint NOT NULL,
    rows_changed    bigint NOT NULL,
    rows_unchanged  bigint NOT NULL,
    rows_rejected   bigint NOT NULL,
    imported_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, import_id)
);
COMMENT ON TABLE recon.ledger_imports IS 'One row for each file of ledger entries that was imported.';
COMMENT ON COLUMN recon.ledger_imports.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.ledger_imports.import_id IS 'Number of the import.';
COMMENT ON COLUMN recon.ledger_imports.file_name IS 'Name of the file, without its folder.';
COMMENT ON COLUMN recon.ledger_imports.file_sha256 IS 'SHA-256 of the file.';
COMMENT ON COLUMN recon.ledger_imports.rows_read IS 'Rows in the file, its header not counted.';
COMMENT ON COLUMN recon.ledger_imports.rows_new IS 'Entries not known before.';
COMMENT ON COLUMN recon.ledger_imports.rows_changed IS 'Entries that were corrected: the former state is in recon.ledger_entry_versions.';
COMMENT ON COLUMN recon.ledger_imports.rows_unchanged IS 'Entries already known in this state.';
COMMENT ON COLUMN recon.ledger_imports.rows_rejected IS 'Rows left out (only with --accept-partial): recon.ledger_rejects.';
COMMENT ON COLUMN recon.ledger_imports.imported_at IS 'When it was committed.';

CREATE TABLE recon.ledger_entries (
    account         text NOT NULL,
    entry_id        text COLLATE "C" NOT NULL CHECK (entry_id <> ''),
    booked_at       timestamptz NOT NULL,
    is_date_only    boolean NOT NULL DEFAULT false,
    operation_type  text NOT NULL CHECK (operation_type <> ''),
    status          text NOT NULL DEFAULT 'success',
    currency        text NOT NULL CHECK (currency ~ '^[A-Z0-9]{3,8}$'),
    amount_minor    bigint NOT NULL CHECK (amount_minor >= 0),
    fee_minor       bigint CHECK (fee_minor >= 0),
    operation_id    text COLLATE "C" CHECK (operation_id <> ''),
    project_id      text CHECK (project_id <> ''),
    payment_id      text CHECK (payment_id <> ''),
    reference       text CHECK (reference <> ''),
    import_id       bigint,
    entered_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, entry_id)
);
CREATE INDEX ledger_entries_booked ON recon.ledger_entries (account, booked_at);
CREATE INDEX ledger_entries_operation ON recon.ledger_entries (account, operation_id) WHERE operation_id IS NOT NULL;
CREATE INDEX ledger_entries_payment ON recon.ledger_entries (account, payment_id) WHERE payment_id IS NOT NULL;
COMMENT ON TABLE recon.ledger_entries IS 'The merchant''s own books: one row an entry; the contract is docs/reconciliation.md.';
COMMENT ON COLUMN recon.ledger_entries.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.ledger_entries.entry_id IS 'The merchant''s own id of the entry; the same id again replaces the entry.';
COMMENT ON COLUMN recon.ledger_entries.booked_at IS 'When it was booked; decides its business day.';
COMMENT ON COLUMN recon.ledger_entries.is_date_only IS 'The books know the business day only: booked_at is its first moment.';
COMMENT ON COLUMN recon.ledger_entries.operation_type IS 'Type as the platform names it: sale, capture, refund, payout, …; it gives the direction.';
COMMENT ON COLUMN recon.ledger_entries.status IS 'Status as the platform names it; the books usually hold what succeeded.';
COMMENT ON COLUMN recon.ledger_entries.currency IS 'ISO 4217 alpha-3 code of the amount and the fee.';
COMMENT ON COLUMN recon.ledger_entries.amount_minor IS 'Amount in minor units of the currency, never negative.';
COMMENT ON COLUMN recon.ledger_entries.fee_minor IS 'Fee booked with it, in minor units of the currency; NULL: not known.';
COMMENT ON COLUMN recon.ledger_entries.operation_id IS 'The platform''s operation; an entry that names one is matched to no other.';
COMMENT ON COLUMN recon.ledger_entries.project_id IS 'The platform''s project.';
COMMENT ON COLUMN recon.ledger_entries.payment_id IS 'The merchant''s own id of the payment.';
COMMENT ON COLUMN recon.ledger_entries.reference IS 'ARN or RRN, leading zeros included.';
COMMENT ON COLUMN recon.ledger_entries.import_id IS 'The import that brought this state; NULL: written by the merchant''s own ETL.';
COMMENT ON COLUMN recon.ledger_entries.entered_at IS 'When this state was written.';

CREATE TABLE recon.ledger_entry_versions (
    account         text NOT NULL,
    entry_id        text COLLATE "C" NOT NULL,
    known_to        timestamptz NOT NULL,
    was             jsonb NOT NULL,
    PRIMARY KEY (account, entry_id, known_to)
);
COMMENT ON TABLE recon.ledger_entry_versions IS 'What a ledger entry was before an import corrected it.';
COMMENT ON COLUMN recon.ledger_entry_versions.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.ledger_entry_versions.entry_id IS 'The entry.';
COMMENT ON COLUMN recon.ledger_entry_versions.known_to IS 'When it was replaced.';
COMMENT ON COLUMN recon.ledger_entry_versions.was IS 'The whole former row.';

CREATE TABLE recon.ledger_rejects (
    account         text NOT NULL,
    import_id       bigint NOT NULL,
    line_number     bigint NOT NULL,
    column_name     text NOT NULL,
    problem         text NOT NULL,
    advice          text NOT NULL,
    PRIMARY KEY (account, import_id, line_number, column_name)
);
COMMENT ON TABLE recon.ledger_rejects IS 'What an import with --accept-partial left out, and why; the merchant''s values are not kept.';
COMMENT ON COLUMN recon.ledger_rejects.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.ledger_rejects.import_id IS 'The import.';
COMMENT ON COLUMN recon.ledger_rejects.line_number IS 'Line of the file, its header is 1; row number for Parquet.';
COMMENT ON COLUMN recon.ledger_rejects.column_name IS 'Column that was wrong.';
COMMENT ON COLUMN recon.ledger_rejects.problem IS 'What was wrong.';
COMMENT ON COLUMN recon.ledger_rejects.advice IS 'What to do.';

CREATE TABLE recon.tolerances (
    account         text NOT NULL,
    currency        text NOT NULL DEFAULT '*',
    operation_type  text NOT NULL DEFAULT '*',
    valid_from      date NOT NULL,
    valid_to        date CHECK (valid_to > valid_from),
    absolute_minor  bigint NOT NULL DEFAULT 0 CHECK (absolute_minor >= 0),
    relative_bps    integer NOT NULL DEFAULT 0 CHECK (relative_bps BETWEEN 0 AND 10000),
    set_by          text NOT NULL,
    PRIMARY KEY (account, currency, operation_type, valid_from)
);
COMMENT ON TABLE recon.tolerances IS 'How far an entry may differ from its operation: the most exact row of the day counts (currency before type before *). No row: not at all.';
COMMENT ON COLUMN recon.tolerances.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.tolerances.currency IS 'Currency it is for; *: every one.';
COMMENT ON COLUMN recon.tolerances.operation_type IS 'Type it is for; *: every one.';
COMMENT ON COLUMN recon.tolerances.valid_from IS 'First business day on which it holds.';
COMMENT ON COLUMN recon.tolerances.valid_to IS 'First business day on which it no longer holds; NULL: it still does.';
COMMENT ON COLUMN recon.tolerances.absolute_minor IS 'Difference allowed, in minor units.';
COMMENT ON COLUMN recon.tolerances.relative_bps IS 'Difference allowed, in hundredths of a percent of the platform''s amount; the larger of the two counts.';
COMMENT ON COLUMN recon.tolerances.set_by IS 'Who decided it.';

CREATE TABLE recon.fee_rules (
    account         text NOT NULL,
    currency        text NOT NULL,
    operation_type  text NOT NULL,
    valid_from      date NOT NULL,
    valid_to        date CHECK (valid_to > valid_from),
    fixed_minor     bigint NOT NULL DEFAULT 0 CHECK (fixed_minor >= 0),
    bps             integer NOT NULL DEFAULT 0 CHECK (bps BETWEEN 0 AND 10000),
    set_by          text NOT NULL,
    PRIMARY KEY (account, currency, operation_type, valid_from)
);
COMMENT ON TABLE recon.fee_rules IS 'What the contract says a fee is, since the Data API''s operations carry none: a booked fee that differs is a break.';
COMMENT ON COLUMN recon.fee_rules.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.fee_rules.currency IS 'Currency of the operation.';
COMMENT ON COLUMN recon.fee_rules.operation_type IS 'Type of the operation.';
COMMENT ON COLUMN recon.fee_rules.valid_from IS 'First business day on which it holds.';
COMMENT ON COLUMN recon.fee_rules.valid_to IS 'First business day on which it no longer holds; NULL: it still does.';
COMMENT ON COLUMN recon.fee_rules.fixed_minor IS 'Part of the fee that does not depend on the amount, in minor units.';
COMMENT ON COLUMN recon.fee_rules.bps IS 'Part of the fee in hundredths of a percent of the amount, rounded half up.';
COMMENT ON COLUMN recon.fee_rules.set_by IS 'Who decided it.';

CREATE TABLE recon.balance_rules (
    account         text NOT NULL,
    rule_id         bigint GENERATED ALWAYS AS IDENTITY,
    balance_name    text NOT NULL,
    currency        text NOT NULL,
    project_id      text,
    balance_id      text,
    operation_type  text NOT NULL,
    sign            smallint NOT NULL CHECK (sign IN (-1, 1)),
    valid_from      date NOT NULL,
    valid_to        date CHECK (valid_to > valid_from),
    set_by          text NOT NULL,
    PRIMARY KEY (account, rule_id)
);
COMMENT ON TABLE recon.balance_rules IS 'Which successful operations move which balance, and how; a balance without a rule gets the default of docs/reconciliation.md.';
COMMENT ON COLUMN recon.balance_rules.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.balance_rules.rule_id IS 'Number of the rule.';
COMMENT ON COLUMN recon.balance_rules.balance_name IS 'Name of the balance, as core.balance_snapshots has it.';
COMMENT ON COLUMN recon.balance_rules.currency IS 'Currency of the balance, and of the operations that move it.';
COMMENT ON COLUMN recon.balance_rules.project_id IS 'Only operations of this project; NULL: of every one.';
COMMENT ON COLUMN recon.balance_rules.balance_id IS 'Only operations with this balance_id (when SYNC_FIELDS asks for it); NULL: of every one.';
COMMENT ON COLUMN recon.balance_rules.operation_type IS 'Type of the operations.';
COMMENT ON COLUMN recon.balance_rules.sign IS '1: they fill the balance; -1: they drain it.';
COMMENT ON COLUMN recon.balance_rules.valid_from IS 'First business day on which it holds.';
COMMENT ON COLUMN recon.balance_rules.valid_to IS 'First business day on which it no longer holds; NULL: it still does.';
COMMENT ON COLUMN recon.balance_rules.set_by IS 'Who decided it.';

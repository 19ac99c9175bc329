-- Schema recon: the platform against the merchant's own books and balances; the close of a day.

CREATE SCHEMA IF NOT EXISTS recon;
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
    rows_withdrawn  bigint NOT NULL DEFAULT 0,
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
COMMENT ON COLUMN recon.ledger_imports.rows_withdrawn IS 'Entries of the file''s days that it no longer has, which were withdrawn (only with --replace-day).';
COMMENT ON COLUMN recon.ledger_imports.imported_at IS 'When it was committed.';

CREATE TABLE recon.ledger_entries (
    account         text NOT NULL,
    entry_id        text COLLATE "C" NOT NULL CHECK (entry_id <> ''),
    booked_at       timestamptz NOT NULL,
    is_date_only    boolean NOT NULL DEFAULT false,
    booked_on       date,
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
COMMENT ON COLUMN recon.ledger_entries.is_date_only IS 'The books know the business day only: booked_on; booked_at is its first moment in the reporting zone.';
COMMENT ON COLUMN recon.ledger_entries.booked_on IS 'The business day of an entry without a time, whatever the reporting zone; NULL: it has a time.';
COMMENT ON COLUMN recon.ledger_entries.operation_type IS 'Type as the platform names it: sale, capture, refund, payout, …; it gives the direction.';
COMMENT ON COLUMN recon.ledger_entries.status IS 'Status as the platform names it; the books usually hold what succeeded. withdrawn or cancelled: the entry no longer stands.';
COMMENT ON COLUMN recon.ledger_entries.currency IS 'ISO 4217 alpha-3 code of the amount and the fee.';
COMMENT ON COLUMN recon.ledger_entries.amount_minor IS 'Amount in minor units of the currency, never negative.';
COMMENT ON COLUMN recon.ledger_entries.fee_minor IS 'Fee booked with it, in minor units of the currency; NULL: not known.';
COMMENT ON COLUMN recon.ledger_entries.operation_id IS 'The platform''s operation; an entry that names one is matched to no other.';
COMMENT ON COLUMN recon.ledger_entries.project_id IS 'The platform''s project.';
COMMENT ON COLUMN recon.ledger_entries.payment_id IS 'The merchant''s own id of the payment.';
COMMENT ON COLUMN recon.ledger_entries.reference IS 'ARN or RRN, leading zeros included.';
COMMENT ON COLUMN recon.ledger_entries.import_id IS 'The import that brought this state; NULL: written by the merchant''s own ETL.';
COMMENT ON COLUMN recon.ledger_entries.entered_at IS 'When this state was written.';

CREATE FUNCTION recon.is_withdrawn(status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(status COLLATE "C") IN ('withdrawn', 'cancelled');
COMMENT ON FUNCTION recon.is_withdrawn(text) IS 'Whether an entry of this status no longer stands: it is matched to nothing, and no break is about it.';

-- A date is kept as a date: written without booked_on it is the day of booked_at.
CREATE FUNCTION recon.keep_booked_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT NEW.is_date_only THEN
        NEW.booked_on := NULL;
    ELSIF NEW.booked_on IS NULL OR (TG_OP = 'UPDATE' AND NEW.booked_at <> OLD.booked_at) THEN
        NEW.booked_on := core.business_date(NEW.booked_at);
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION recon.keep_booked_day() IS 'Sets booked_on of an entry that has a date only.';
CREATE TRIGGER keep_booked_day BEFORE INSERT OR UPDATE OF booked_at, booked_on, is_date_only ON recon.ledger_entries
    FOR EACH ROW WHEN (NEW.is_date_only OR NEW.booked_on IS NOT NULL) EXECUTE FUNCTION recon.keep_booked_day();

CREATE FUNCTION recon.follow_reporting_zone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE recon.ledger_entries SET booked_at = core.business_day_starts_at(booked_on) WHERE booked_on IS NOT NULL;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION recon.follow_reporting_zone() IS 'Lets entries that have a date only begin at that date in the new reporting zone.';
CREATE TRIGGER follow_reporting_zone AFTER UPDATE OF value ON core.settings
    FOR EACH ROW WHEN (NEW.key = 'reporting_zone' AND NEW.value <> OLD.value)
    EXECUTE FUNCTION recon.follow_reporting_zone();

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

-- What a reconciliation finds: runs, proofs of completeness, matches, breaks with their history, balances rolled forward.
CREATE TABLE recon.runs (
    account         text NOT NULL,
    run_no          bigint GENERATED ALWAYS AS IDENTITY,
    business_date   date NOT NULL,
    leg             text NOT NULL CHECK (leg IN ('completeness', 'books', 'balances')),
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    day_changed_at  timestamptz,
    figures         jsonb NOT NULL,
    PRIMARY KEY (account, run_no)
);
CREATE INDEX recon_runs_day ON recon.runs (account, business_date, leg, finished_at DESC);

COMMENT ON TABLE recon.runs IS 'One row for each leg of a reconciliation that was carried through.';
COMMENT ON COLUMN recon.runs.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.runs.run_no IS 'Number of the run.';
COMMENT ON COLUMN recon.runs.business_date IS 'Business day that was reconciled.';
COMMENT ON COLUMN recon.runs.leg IS 'completeness, books or balances.';
COMMENT ON COLUMN recon.runs.started_at IS 'When it was started.';
COMMENT ON COLUMN recon.runs.finished_at IS 'When it was done.';
COMMENT ON COLUMN recon.runs.day_changed_at IS 'Of books: when the day had last changed as this run saw it, by the platform''s clock; NULL: it had no operation.';
COMMENT ON COLUMN recon.runs.figures IS 'What it counted; for books: operations, entries, matched, and by pass.';

-- One clock, the platform's: the database's may be off, and a load may commit while a reconciliation reads.
CREATE FUNCTION recon.day_changed_at(account text, business_date date) RETURNS timestamptz
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT greatest(
        (SELECT max(o.observed_at) FROM core.operations o
         WHERE o.account = $1 AND core.business_at(o) >= core.business_day_starts_at($2)
           AND core.business_at(o) < core.business_day_starts_at($2 + 1)),
        (SELECT max(v.known_to) FROM core.operation_versions v  -- one that left the day is in it no more
         WHERE v.account = $1 AND core.business_at(v) >= core.business_day_starts_at($2)
           AND core.business_at(v) < core.business_day_starts_at($2 + 1)));
END;
COMMENT ON FUNCTION recon.day_changed_at(text, date) IS 'When an operation of the business day last changed, entered it or left it, by the platform''s clock.';

CREATE TABLE recon.completeness (
    account         text NOT NULL,
    business_date   date NOT NULL,
    walked_at       timestamptz NOT NULL,
    interval_from   timestamptz NOT NULL,
    interval_to     timestamptz NOT NULL,
    verdict         text NOT NULL CHECK (verdict IN ('complete', 'differs', 'incomplete')),
    reason          text,
    requests        integer NOT NULL,
    rows_walked     bigint NOT NULL,
    rows_rejected   bigint NOT NULL,
    rows_missing    bigint NOT NULL,
    rows_differing  bigint NOT NULL,
    rows_gone       bigint NOT NULL,
    rows_moved      bigint NOT NULL,
    totals_walked   jsonb NOT NULL,
    totals_stored   jsonb NOT NULL,
    digest_walked   text NOT NULL,
    digest_stored   text NOT NULL,
    PRIMARY KEY (account, business_date, walked_at)
);

COMMENT ON TABLE recon.completeness IS 'A day held against a fresh, independent walk that writes nothing: one row a proof.';
COMMENT ON COLUMN recon.completeness.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.completeness.business_date IS 'Business day that was walked.';
COMMENT ON COLUMN recon.completeness.walked_at IS 'When the walk was started.';
COMMENT ON COLUMN recon.completeness.interval_from IS 'First second of the day.';
COMMENT ON COLUMN recon.completeness.interval_to IS 'Last second of the walk, included: the midnight after the day, whose operations are of the next day.';
COMMENT ON COLUMN recon.completeness.verdict IS 'complete: all that the walk met is stored as met; differs: not so; incomplete: the walk itself could not be finished.';
COMMENT ON COLUMN recon.completeness.reason IS 'What differs, or why it is incomplete, in one line.';
COMMENT ON COLUMN recon.completeness.requests IS 'Answers asked for.';
COMMENT ON COLUMN recon.completeness.rows_walked IS 'Typed operations that the walk met.';
COMMENT ON COLUMN recon.completeness.rows_rejected IS 'Rows met that could not be typed.';
COMMENT ON COLUMN recon.completeness.rows_missing IS 'Met, and not in the store.';
COMMENT ON COLUMN recon.completeness.rows_differing IS 'Met, and stored otherwise: they changed since they were loaded.';
COMMENT ON COLUMN recon.completeness.rows_gone IS 'Stored by a walk of this very day, and no longer met: they changed, and the store does not know it yet.';
COMMENT ON COLUMN recon.completeness.rows_moved IS 'Stored as completed on the day, but last changed later: a walk of the day does not meet them. Not a difference.';
COMMENT ON COLUMN recon.completeness.totals_walked IS 'Control totals of what the walk met: [{currency, type, status, count, minor}].';
COMMENT ON COLUMN recon.completeness.totals_stored IS 'Control totals of the same operations as the store holds them, and of those gone.';
COMMENT ON COLUMN recon.completeness.digest_walked IS 'SHA-256 over id, payment, type, status, amount, currency and times of what the walk met, sorted by id.';
COMMENT ON COLUMN recon.completeness.digest_stored IS 'The same over the store.';

CREATE TABLE recon.matches (
    account         text NOT NULL,
    operation_id    text COLLATE "C" NOT NULL,
    entry_id        text COLLATE "C" NOT NULL,
    match_id        text COLLATE "C" NOT NULL,
    business_date   date NOT NULL,
    pass            text NOT NULL CHECK (pass IN ('operation_id', 'payment', 'reference', 'amount_time', 'manual')),
    match_key       text NOT NULL,
    score           smallint NOT NULL CHECK (score BETWEEN 1 AND 100),
    shape           text NOT NULL CHECK (shape IN ('1:1', '1:n', 'n:1')),
    matched_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, operation_id, entry_id)
);
CREATE INDEX matches_entry ON recon.matches (account, entry_id);
CREATE INDEX matches_day ON recon.matches (account, business_date);

COMMENT ON TABLE recon.matches IS 'Which operation is which entry: one row a pair; the pairs of a match share match_id.';
COMMENT ON COLUMN recon.matches.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.matches.operation_id IS 'The operation.';
COMMENT ON COLUMN recon.matches.entry_id IS 'The entry.';
COMMENT ON COLUMN recon.matches.match_id IS 'The match: o and the operation''s id, or for n:1 e and the entry''s id.';
COMMENT ON COLUMN recon.matches.business_date IS 'Business day whose reconciliation made the match.';
COMMENT ON COLUMN recon.matches.pass IS 'What made them one: operation_id, payment (project, payment id, type), reference (ARN or RRN, and amount), amount_time (amount, currency, type, time), manual (a person: recon.manual_matches).';
COMMENT ON COLUMN recon.matches.match_key IS 'The key that they share.';
COMMENT ON COLUMN recon.matches.score IS 'How sure: 100 operation id or a person, 90 payment with equal amounts, 80 payment alone, 75 reference, 60 amount and time, 50 the same where several fit.';
COMMENT ON COLUMN recon.matches.shape IS 'Operations to entries: 1:1, 1:n (a split booking) or n:1 (a batch booked as one).';
COMMENT ON COLUMN recon.matches.matched_at IS 'When the match was made first.';

-- What people decide about matches: the last decision on a pair counts.
CREATE TABLE recon.manual_matches (
    account          text NOT NULL,
    decision_no      bigint GENERATED ALWAYS AS IDENTITY,
    decision         text NOT NULL CHECK (decision IN ('match', 'unmatch')),
    operation_id     text COLLATE "C" NOT NULL,
    entry_id         text COLLATE "C" NOT NULL,
    match_id         text COLLATE "C" NOT NULL,
    shape            text NOT NULL CHECK (shape IN ('1:1', '1:n', 'n:1')),
    difference_minor numeric(38, 0) NOT NULL,
    reason           text,
    note             text NOT NULL CHECK (note <> ''),
    decided_by       text NOT NULL CHECK (decided_by <> ''),
    decided_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    database_user    text NOT NULL DEFAULT session_user,
    PRIMARY KEY (account, decision_no),
    CHECK (decision = 'unmatch' OR difference_minor = 0 OR reason IS NOT NULL)
);
CREATE INDEX manual_matches_pair ON recon.manual_matches (account, operation_id, entry_id, decision_no DESC);

COMMENT ON TABLE recon.manual_matches IS 'Pairs that people matched or parted by hand, with who and why: one row a pair and decision, never changed. The reconciliation follows the last decision on each pair.';
COMMENT ON COLUMN recon.manual_matches.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.manual_matches.decision_no IS 'Number of the decision.';
COMMENT ON COLUMN recon.manual_matches.decision IS 'match: they belong together, whatever the passes say; unmatch: no pass puts them together again.';
COMMENT ON COLUMN recon.manual_matches.operation_id IS 'The operation.';
COMMENT ON COLUMN recon.manual_matches.entry_id IS 'The entry.';
COMMENT ON COLUMN recon.manual_matches.match_id IS 'The match, as in recon.matches.';
COMMENT ON COLUMN recon.manual_matches.shape IS 'Operations to entries: 1:1, 1:n or n:1.';
COMMENT ON COLUMN recon.manual_matches.difference_minor IS 'Entries minus operations when it was decided, in minor units of their currency; explained by the reason as long as it stays the same.';
COMMENT ON COLUMN recon.manual_matches.reason IS 'Why the sums differ: one of recon.break_reasons; NULL: they do not differ.';
COMMENT ON COLUMN recon.manual_matches.note IS 'Why it was decided.';
COMMENT ON COLUMN recon.manual_matches.decided_by IS 'Who decided it, by the name given to the command.';
COMMENT ON COLUMN recon.manual_matches.decided_at IS 'When.';
COMMENT ON COLUMN recon.manual_matches.database_user IS 'Role that the command was connected as.';

CREATE VIEW recon.manual_matches_in_force AS
SELECT DISTINCT ON (account, operation_id, entry_id)
       account, operation_id, entry_id, decision, match_id, shape, difference_minor, reason, note, decided_by, decided_at
FROM recon.manual_matches
ORDER BY account, operation_id, entry_id, decision_no DESC;

CREATE FUNCTION recon.keep_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a decision on a match is never changed: decide again with `ecommpay-sync match` or `unmatch`';
END $$;
COMMENT ON FUNCTION recon.keep_decisions() IS 'Refuses to change or delete a row of recon.manual_matches.';
CREATE TRIGGER keep_decisions BEFORE UPDATE OR DELETE ON recon.manual_matches
    FOR EACH ROW EXECUTE FUNCTION recon.keep_decisions();

COMMENT ON VIEW recon.manual_matches_in_force IS 'The last decision on each pair.';
COMMENT ON COLUMN recon.manual_matches_in_force.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.manual_matches_in_force.operation_id IS 'The operation.';
COMMENT ON COLUMN recon.manual_matches_in_force.entry_id IS 'The entry.';
COMMENT ON COLUMN recon.manual_matches_in_force.decision IS 'match or unmatch.';
COMMENT ON COLUMN recon.manual_matches_in_force.match_id IS 'The match, as in recon.matches.';
COMMENT ON COLUMN recon.manual_matches_in_force.shape IS 'Operations to entries: 1:1, 1:n or n:1.';
COMMENT ON COLUMN recon.manual_matches_in_force.difference_minor IS 'Entries minus operations when it was decided, in minor units.';
COMMENT ON COLUMN recon.manual_matches_in_force.reason IS 'Why the sums differ; NULL: they do not.';
COMMENT ON COLUMN recon.manual_matches_in_force.note IS 'Why it was decided.';
COMMENT ON COLUMN recon.manual_matches_in_force.decided_by IS 'Who decided it.';
COMMENT ON COLUMN recon.manual_matches_in_force.decided_at IS 'When.';

CREATE TABLE recon.break_reasons (
    reason       text PRIMARY KEY CHECK (reason = btrim(reason) AND reason <> '' AND reason = lower(reason)),
    description  text NOT NULL,
    added_by     text NOT NULL,
    added_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE recon.break_reasons IS 'The reasons that explain a break; `ecommpay-sync breaks reasons --add` extends the list.';
COMMENT ON COLUMN recon.break_reasons.reason IS 'The reason, in small letters.';
COMMENT ON COLUMN recon.break_reasons.description IS 'When it is the right one.';
COMMENT ON COLUMN recon.break_reasons.added_by IS 'Who added it.';
COMMENT ON COLUMN recon.break_reasons.added_at IS 'When.';

INSERT INTO recon.break_reasons (reason, description, added_by) VALUES
    ('booked later', 'the books have it on a later day', 'baseline'),
    ('booking error', 'the books are wrong and will be corrected', 'baseline'),
    ('duplicate booking', 'the books have it twice', 'baseline'),
    ('exchange rate', 'booked in another currency, or at another rate', 'baseline'),
    ('fee', 'a fee or commission makes the difference', 'baseline'),
    ('other', 'the note says it', 'baseline'),
    ('platform', 'the platform is asked, or corrects it', 'baseline'),
    ('rounding', 'a difference of rounding', 'baseline'),
    ('settlement', 'a payout, top-up or transfer outside the operations', 'baseline'),
    ('test', 'a test, not real money', 'baseline'),
    ('write-off', 'written off', 'baseline');

CREATE TABLE recon.break_deadlines (
    break_type  text PRIMARY KEY CHECK (break_type <> ''),
    days        integer NOT NULL CHECK (days BETWEEN 0 AND 3650),
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE recon.break_deadlines IS 'How many days after its business day a break is due: of its type, else of *; `ecommpay-sync breaks deadlines` sets them.';
COMMENT ON COLUMN recon.break_deadlines.break_type IS 'Type of the breaks; *: every type without a row.';
COMMENT ON COLUMN recon.break_deadlines.days IS 'Days from the business day to the last day on which it is not overdue.';
COMMENT ON COLUMN recon.break_deadlines.set_by IS 'Who decided it.';
COMMENT ON COLUMN recon.break_deadlines.set_at IS 'When.';

INSERT INTO recon.break_deadlines (break_type, days, set_by) VALUES ('*', 5, 'baseline'), ('timing', 2, 'baseline');

CREATE TABLE recon.breaks (
    account            text NOT NULL,
    break_id           bigint GENERATED ALWAYS AS IDENTITY,
    break_key          text NOT NULL,
    business_date      date NOT NULL,
    reconciled_date    date NOT NULL,
    break_type         text NOT NULL CHECK (break_type IN (
        'missing_in_ledger', 'missing_at_platform', 'amount', 'currency', 'status', 'fee', 'duplicate_in_ledger',
        'duplicate_at_platform', 'timing', 'rounding', 'orphan_refund', 'refund_above_capture', 'late_change', 'balance')),
    operation_id       text,
    entry_id           text,
    balance_name       text,
    currency           text,
    amount_minor       numeric(38, 0),
    platform_currency  text,
    platform_minor     numeric(38, 0),
    platform_status    text,
    ledger_currency    text,
    ledger_minor       numeric(38, 0),
    ledger_status      text,
    detail             text NOT NULL,
    state              text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'explained', 'resolved')),
    owner              text,
    reason             text REFERENCES recon.break_reasons,
    note               text,
    explained_by       text,
    opened_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at        timestamptz,
    PRIMARY KEY (account, break_id),
    UNIQUE (account, break_key)
);
CREATE INDEX breaks_day ON recon.breaks (account, business_date);
CREATE INDEX breaks_reconciled ON recon.breaks (account, reconciled_date);
CREATE INDEX breaks_operation ON recon.breaks (account, operation_id) WHERE state <> 'resolved';
CREATE INDEX breaks_entry ON recon.breaks (account, entry_id) WHERE state <> 'resolved';

COMMENT ON TABLE recon.breaks IS 'What does not agree: one row a break, found again under the same key, never deleted.';
COMMENT ON COLUMN recon.breaks.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.breaks.break_id IS 'Number of the break, for people.';
COMMENT ON COLUMN recon.breaks.break_key IS 'Type and subject: the same break found again keeps its row, owner, note and state.';
COMMENT ON COLUMN recon.breaks.business_date IS 'Business day of the operation, else of the entry; age counts from it.';
COMMENT ON COLUMN recon.breaks.reconciled_date IS 'Business day whose reconciliation found it, and would find it again.';
COMMENT ON COLUMN recon.breaks.break_type IS 'What kind; docs/reconciliation.md says when each is found and what its amount is.';
COMMENT ON COLUMN recon.breaks.operation_id IS 'The operation, if one is concerned.';
COMMENT ON COLUMN recon.breaks.entry_id IS 'The ledger entry, if one is concerned.';
COMMENT ON COLUMN recon.breaks.balance_name IS 'The balance, if one is concerned.';
COMMENT ON COLUMN recon.breaks.currency IS 'Currency of amount_minor.';
COMMENT ON COLUMN recon.breaks.amount_minor IS 'How much is at stake, in minor units; ledger minus platform where both have an amount.';
COMMENT ON COLUMN recon.breaks.platform_currency IS 'Currency at the platform.';
COMMENT ON COLUMN recon.breaks.platform_minor IS 'Amount at the platform in minor units; of a match of several, their sum.';
COMMENT ON COLUMN recon.breaks.platform_status IS 'Status at the platform.';
COMMENT ON COLUMN recon.breaks.ledger_currency IS 'Currency in the books.';
COMMENT ON COLUMN recon.breaks.ledger_minor IS 'Amount in the books in minor units; of a match of several, their sum.';
COMMENT ON COLUMN recon.breaks.ledger_status IS 'Status in the books.';
COMMENT ON COLUMN recon.breaks.detail IS 'What was found, in one line.';
COMMENT ON COLUMN recon.breaks.state IS 'open; explained (somebody said why, or it is within the tolerance); resolved (no longer found).';
COMMENT ON COLUMN recon.breaks.owner IS 'Who looks after it, or explained it.';
COMMENT ON COLUMN recon.breaks.reason IS 'Why it is there: one of recon.break_reasons; NULL: not said.';
COMMENT ON COLUMN recon.breaks.note IS 'What they said.';
COMMENT ON COLUMN recon.breaks.explained_by IS 'Who explained these very figures; reconcile: the tolerance, or a match by hand; NULL: nobody.';
COMMENT ON COLUMN recon.breaks.opened_at IS 'When it was found first.';
COMMENT ON COLUMN recon.breaks.changed_at IS 'When anything in this row last changed.';
COMMENT ON COLUMN recon.breaks.resolved_at IS 'When it was no longer found.';

CREATE TABLE recon.break_events (
    account       text NOT NULL,
    event_id      bigint GENERATED ALWAYS AS IDENTITY,
    break_id      bigint NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    event         text NOT NULL CHECK (event IN (
        'opened', 'assigned', 'noted', 'explained', 'changed', 'resolved', 'reopened')),
    actor         text NOT NULL,
    amount_minor  numeric(38, 0),
    note          text,
    state         text NOT NULL,
    owner         text,
    reason        text,
    comment       text,
    PRIMARY KEY (account, event_id),
    FOREIGN KEY (account, break_id) REFERENCES recon.breaks (account, break_id)
);
CREATE INDEX break_events_break ON recon.break_events (account, break_id, event_id);

COMMENT ON TABLE recon.break_events IS 'The history of the breaks.';
COMMENT ON COLUMN recon.break_events.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.break_events.event_id IS 'Number of the event.';
COMMENT ON COLUMN recon.break_events.break_id IS 'The break.';
COMMENT ON COLUMN recon.break_events.at IS 'When.';
COMMENT ON COLUMN recon.break_events.event IS 'opened, assigned (to another owner), noted (another note or reason), explained, changed (other figures, or the explanation taken back: open again; or owner and note at once), resolved (no longer found) or reopened (found again).';
COMMENT ON COLUMN recon.break_events.actor IS 'Who: a name, or reconcile.';
COMMENT ON COLUMN recon.break_events.amount_minor IS 'Amount of the break at that time.';
COMMENT ON COLUMN recon.break_events.note IS 'What was said, or found.';
COMMENT ON COLUMN recon.break_events.state IS 'State of the break since then.';
COMMENT ON COLUMN recon.break_events.owner IS 'Owner of the break since then.';
COMMENT ON COLUMN recon.break_events.reason IS 'Reason of the break since then.';
COMMENT ON COLUMN recon.break_events.comment IS 'Note of the break since then.';

-- Written by hand, by the command and by the reconciliation alike: the history is not left to any of them. Once a
-- statement, since a reconciliation may find a million.
CREATE FUNCTION recon.log_break() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    by_whom text := coalesce(nullif(current_setting('recon.actor', true), ''), session_user);
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO recon.break_events
            (account, break_id, event, actor, amount_minor, note, state, owner, reason, comment)
        SELECT account, break_id, 'opened', by_whom, amount_minor,
               CASE WHEN state = 'explained' THEN coalesce(note, reason) ELSE detail END, state, owner, reason, note
        FROM now_so;
    ELSE
        INSERT INTO recon.break_events
            (account, break_id, event, actor, amount_minor, note, state, owner, reason, comment)
        SELECT n.account, n.break_id,
               CASE WHEN n.state = 'resolved' THEN 'resolved'
                    WHEN b.state = 'resolved' THEN 'reopened'
                    WHEN n.state = b.state AND n.note IS NOT DISTINCT FROM b.note
                        AND n.reason IS NOT DISTINCT FROM b.reason AND n.owner IS DISTINCT FROM b.owner THEN 'assigned'
                    WHEN n.state = 'explained' THEN 'explained'
                    WHEN n.state = b.state AND n.owner IS NOT DISTINCT FROM b.owner
                        AND (n.note IS DISTINCT FROM b.note OR n.reason IS DISTINCT FROM b.reason) THEN 'noted'
                    ELSE 'changed' END,
               by_whom, n.amount_minor,
               CASE WHEN n.state = 'explained' THEN coalesce(n.note, n.reason) ELSE n.detail END,
               n.state, n.owner, n.reason, n.note
        FROM now_so n JOIN before b USING (account, break_id);
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION recon.log_break() FROM PUBLIC;
COMMENT ON FUNCTION recon.log_break() IS 'Writes the history of breaks.';
CREATE TRIGGER log_opened AFTER INSERT ON recon.breaks
    REFERENCING NEW TABLE AS now_so FOR EACH STATEMENT EXECUTE FUNCTION recon.log_break();
CREATE TRIGGER log_changed AFTER UPDATE ON recon.breaks
    REFERENCING OLD TABLE AS before NEW TABLE AS now_so FOR EACH STATEMENT EXECUTE FUNCTION recon.log_break();

CREATE FUNCTION recon.name_explainer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.explained_by := coalesce(nullif(current_setting('recon.actor', true), ''), NEW.owner, session_user);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION recon.name_explainer() IS 'Sets explained_by of a break that is explained without it.';
CREATE TRIGGER name_explainer BEFORE INSERT OR UPDATE ON recon.breaks
    FOR EACH ROW WHEN (NEW.state = 'explained' AND NEW.explained_by IS NULL) EXECUTE FUNCTION recon.name_explainer();

CREATE TABLE recon.balance_rollforward (
    account              text NOT NULL,
    business_date        date NOT NULL,
    balance_name         text NOT NULL,
    currency             text NOT NULL,
    opening_at           timestamptz,
    opening_minor        numeric(38, 0),
    movements_minor      numeric(38, 0) NOT NULL,
    movements            bigint NOT NULL,
    closing_at           timestamptz,
    closing_minor        numeric(38, 0),
    unexplained_minor    numeric(38, 0),
    basis                text NOT NULL CHECK (basis IN ('rule', 'project name', 'only balance of its currency', 'none')),
    status               text NOT NULL CHECK (status IN ('explained', 'lag', 'unexplained', 'no opening', 'no closing')),
    PRIMARY KEY (account, business_date, balance_name, currency)
);

COMMENT ON TABLE recon.balance_rollforward IS 'Opening snapshot + movements = closing snapshot, a balance and day; what is left is shown. Balances of one name and currency are taken together.';
COMMENT ON COLUMN recon.balance_rollforward.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.balance_rollforward.business_date IS 'Business day.';
COMMENT ON COLUMN recon.balance_rollforward.balance_name IS 'Name of the balance.';
COMMENT ON COLUMN recon.balance_rollforward.currency IS 'Its currency.';
COMMENT ON COLUMN recon.balance_rollforward.opening_at IS 'Moment of the opening snapshot: the last one up to the start of the day; movements count from it.';
COMMENT ON COLUMN recon.balance_rollforward.opening_minor IS 'Balance then, in minor units.';
COMMENT ON COLUMN recon.balance_rollforward.movements_minor IS 'Sum of the operations completed between the two snapshots that move this balance, signed.';
COMMENT ON COLUMN recon.balance_rollforward.movements IS 'How many operations.';
COMMENT ON COLUMN recon.balance_rollforward.closing_at IS 'Moment of the closing snapshot: the last one up to the end of the day; movements count up to it.';
COMMENT ON COLUMN recon.balance_rollforward.closing_minor IS 'Balance then, in minor units.';
COMMENT ON COLUMN recon.balance_rollforward.unexplained_minor IS 'Closing − opening − movements; NULL without both snapshots.';
COMMENT ON COLUMN recon.balance_rollforward.basis IS 'Why these operations: rule (recon.balance_rules), project name (payouts of the project that the balance names), only balance of its currency (all its payouts), none.';
COMMENT ON COLUMN recon.balance_rollforward.status IS 'explained; lag (operations within 30 minutes of a snapshot explain all of it); unexplained; no opening; no closing.';

CREATE FUNCTION recon.age_bucket(days integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN days <= 1 THEN '0–1' WHEN days <= 3 THEN '2–3' WHEN days <= 7 THEN '4–7'
            WHEN days <= 30 THEN '8–30' ELSE 'over 30' END;
COMMENT ON FUNCTION recon.age_bucket(integer) IS 'The bucket of days that an age falls into.';

CREATE VIEW recon.aged_breaks AS
SELECT b.*, age.days AS age_days, recon.age_bucket(age.days) AS age_bucket,
       b.business_date + due.days AS due_date, b.state = 'open' AND age.days > due.days AS is_overdue
FROM recon.breaks b
CROSS JOIN (SELECT core.business_date(now()) AS today) AS clock
CROSS JOIN LATERAL (SELECT greatest(0, clock.today - b.business_date) AS days) AS age
LEFT JOIN recon.break_deadlines own ON own.break_type = b.break_type
LEFT JOIN recon.break_deadlines every ON every.break_type = '*'
CROSS JOIN LATERAL (SELECT coalesce(own.days, every.days) AS days) AS due
WHERE b.state <> 'resolved';

COMMENT ON VIEW recon.aged_breaks IS 'Breaks that are not resolved, with their age today.';
COMMENT ON COLUMN recon.aged_breaks.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.aged_breaks.break_id IS 'Number of the break, for people.';
COMMENT ON COLUMN recon.aged_breaks.break_key IS 'Type and subject: the same break found again keeps its row, owner, note and state.';
COMMENT ON COLUMN recon.aged_breaks.business_date IS 'Business day of the operation, else of the entry; age counts from it.';
COMMENT ON COLUMN recon.aged_breaks.reconciled_date IS 'Business day whose reconciliation found it, and would find it again.';
COMMENT ON COLUMN recon.aged_breaks.break_type IS 'What kind; docs/reconciliation.md says when each is found and what its amount is.';
COMMENT ON COLUMN recon.aged_breaks.operation_id IS 'The operation, if one is concerned.';
COMMENT ON COLUMN recon.aged_breaks.entry_id IS 'The ledger entry, if one is concerned.';
COMMENT ON COLUMN recon.aged_breaks.balance_name IS 'The balance, if one is concerned.';
COMMENT ON COLUMN recon.aged_breaks.currency IS 'Currency of amount_minor.';
COMMENT ON COLUMN recon.aged_breaks.amount_minor IS 'How much is at stake, in minor units; ledger minus platform where both have an amount.';
COMMENT ON COLUMN recon.aged_breaks.platform_currency IS 'Currency at the platform.';
COMMENT ON COLUMN recon.aged_breaks.platform_minor IS 'Amount at the platform in minor units; of a match of several, their sum.';
COMMENT ON COLUMN recon.aged_breaks.platform_status IS 'Status at the platform.';
COMMENT ON COLUMN recon.aged_breaks.ledger_currency IS 'Currency in the books.';
COMMENT ON COLUMN recon.aged_breaks.ledger_minor IS 'Amount in the books in minor units; of a match of several, their sum.';
COMMENT ON COLUMN recon.aged_breaks.ledger_status IS 'Status in the books.';
COMMENT ON COLUMN recon.aged_breaks.detail IS 'What was found, in one line.';
COMMENT ON COLUMN recon.aged_breaks.state IS 'open; explained (somebody said why, or it is within the tolerance); resolved (no longer found).';
COMMENT ON COLUMN recon.aged_breaks.owner IS 'Who looks after it, or explained it.';
COMMENT ON COLUMN recon.aged_breaks.reason IS 'Why it is there: one of recon.break_reasons; NULL: not said.';
COMMENT ON COLUMN recon.aged_breaks.note IS 'What they said.';
COMMENT ON COLUMN recon.aged_breaks.explained_by IS 'Who explained these very figures; reconcile: the tolerance, or a match by hand; NULL: nobody.';
COMMENT ON COLUMN recon.aged_breaks.opened_at IS 'When it was found first.';
COMMENT ON COLUMN recon.aged_breaks.changed_at IS 'When anything in this row last changed.';
COMMENT ON COLUMN recon.aged_breaks.resolved_at IS 'When it was no longer found.';
COMMENT ON COLUMN recon.aged_breaks.age_days IS 'Days since business_date, in the reporting zone.';
COMMENT ON COLUMN recon.aged_breaks.age_bucket IS 'Age as a bucket of days: 0–1, 2–3, 4–7, 8–30, over 30.';
COMMENT ON COLUMN recon.aged_breaks.due_date IS 'Last day on which it is not overdue: business_date and the days of recon.break_deadlines.';
COMMENT ON COLUMN recon.aged_breaks.is_overdue IS 'Whether it is open, and due_date is over in the reporting zone.';

-- Closed days: sealed figures in a chain of hashes, and what became known of them afterwards.
CREATE TABLE recon.closes (
    account           text NOT NULL,
    close_no          bigint NOT NULL,
    business_date     date NOT NULL,
    action            text NOT NULL CHECK (action IN ('close', 'reopen')),
    known_at          timestamptz NOT NULL,
    prepared_by       text,
    decided_by        text NOT NULL CHECK (decided_by <> ''),
    reason            text,
    with_open_breaks  boolean NOT NULL DEFAULT false,
    document          text,
    document_sha256   bytea,
    database_user     text NOT NULL DEFAULT session_user,
    written_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous_hash     bytea NOT NULL,
    entry_hash        bytea NOT NULL,
    PRIMARY KEY (account, close_no),
    CHECK (action = 'reopen' OR (document IS NOT NULL AND document_sha256 = sha256(convert_to(document, 'UTF8')))),
    -- the same letters in another shape, case or spacing are the same name
    CONSTRAINT four_eyes CHECK (
        action = 'reopen'
        OR lower(normalize(regexp_replace(btrim(prepared_by), '\s+', ' ', 'g'), NFKC))
        <> lower(normalize(regexp_replace(btrim(decided_by), '\s+', ' ', 'g'), NFKC))
    ),
    CHECK (action = 'close' OR reason <> '')
);
CREATE INDEX closes_day ON recon.closes (account, business_date, close_no DESC);

COMMENT ON TABLE recon.closes IS 'Days closed and opened again: the sealed figures as they were known, chained by hashes, never changed.';
COMMENT ON COLUMN recon.closes.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.closes.close_no IS 'Position in the account''s chain, from 1, without holes.';
COMMENT ON COLUMN recon.closes.business_date IS 'Business day.';
COMMENT ON COLUMN recon.closes.action IS 'close or reopen; the last one of a day counts.';
COMMENT ON COLUMN recon.closes.known_at IS 'Moment of knowledge: what was observed up to then is in the figures.';
COMMENT ON COLUMN recon.closes.prepared_by IS 'Who prepared the figures.';
COMMENT ON COLUMN recon.closes.decided_by IS 'Who reviewed and closed the day, or opened it again; never the one who prepared it.';
COMMENT ON COLUMN recon.closes.reason IS 'Why it was opened again.';
COMMENT ON COLUMN recon.closes.with_open_breaks IS 'Closed although breaks were open (--with-open-breaks).';
COMMENT ON COLUMN recon.closes.document IS 'The sealed figures: canonical JSON (keys sorted, no spaces, amounts as text in minor units); docs/reconciliation.md.';
COMMENT ON COLUMN recon.closes.document_sha256 IS 'SHA-256 of the document.';
COMMENT ON COLUMN recon.closes.database_user IS 'Role that the command was connected as.';
COMMENT ON COLUMN recon.closes.written_at IS 'When the row was written.';
COMMENT ON COLUMN recon.closes.previous_hash IS 'entry_hash of the account''s row before; 32 zero bytes for the first.';
COMMENT ON COLUMN recon.closes.entry_hash IS 'SHA-256 over previous_hash and this row: recon.close_hash().';

CREATE FUNCTION recon.close_text(entry recon.closes) RETURNS text
LANGUAGE sql STABLE SET timezone = 'UTC' SET datestyle = 'ISO'
RETURN (jsonb_strip_nulls(to_jsonb(entry)) - 'entry_hash' - 'previous_hash')::text;
COMMENT ON FUNCTION recon.close_text(recon.closes) IS 'What the hash of a row is made of, after previous_hash: the row as JSON, without the two hashes and what is NULL.';

CREATE FUNCTION recon.close_hash(entry recon.closes) RETURNS bytea
LANGUAGE sql STABLE
RETURN sha256((entry).previous_hash || convert_to(recon.close_text(entry), 'UTF8'));
COMMENT ON FUNCTION recon.close_hash(recon.closes) IS 'What entry_hash of a closed day must be.';

CREATE FUNCTION recon.chain_close() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_no bigint;
    last_hash bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('recon.closes ' || NEW.account, 0));
    SELECT close_no, entry_hash INTO last_no, last_hash
    FROM recon.closes WHERE account = NEW.account ORDER BY close_no DESC LIMIT 1;
    NEW.close_no := coalesce(last_no, 0) + 1;
    NEW.previous_hash := coalesce(last_hash, decode(repeat('00', 32), 'hex'));
    NEW.entry_hash := recon.close_hash(NEW);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION recon.chain_close() IS 'Numbers and chains a new row of recon.closes; one at a time for an account.';
CREATE TRIGGER chain_close BEFORE INSERT ON recon.closes FOR EACH ROW EXECUTE FUNCTION recon.chain_close();

CREATE FUNCTION recon.keep_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed day is never changed: open it again with `ecommpay-sync reopen`';
END $$;
COMMENT ON FUNCTION recon.keep_sealed() IS 'Refuses to change or delete a row of recon.closes.';
CREATE TRIGGER keep_sealed BEFORE UPDATE OR DELETE ON recon.closes FOR EACH ROW EXECUTE FUNCTION recon.keep_sealed();

CREATE VIEW recon.closed_days AS
SELECT account, business_date, close_no, known_at, prepared_by, decided_by, with_open_breaks, document_sha256, entry_hash
FROM (
    SELECT c.*, row_number() OVER (PARTITION BY account, business_date ORDER BY close_no DESC) AS back
    FROM recon.closes c
) AS latest
WHERE back = 1 AND action = 'close';

COMMENT ON VIEW recon.closed_days IS 'Days that are closed now, and by which row of recon.closes.';
COMMENT ON COLUMN recon.closed_days.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.closed_days.business_date IS 'Business day.';
COMMENT ON COLUMN recon.closed_days.close_no IS 'The row of recon.closes that holds its figures.';
COMMENT ON COLUMN recon.closed_days.known_at IS 'Moment of knowledge.';
COMMENT ON COLUMN recon.closed_days.prepared_by IS 'Who prepared the figures.';
COMMENT ON COLUMN recon.closed_days.decided_by IS 'Who reviewed and closed the day.';
COMMENT ON COLUMN recon.closed_days.with_open_breaks IS 'Closed although breaks were open.';
COMMENT ON COLUMN recon.closed_days.document_sha256 IS 'SHA-256 of the sealed figures.';
COMMENT ON COLUMN recon.closed_days.entry_hash IS 'Hash of that row in the chain.';

CREATE VIEW recon.restatements AS
WITH days AS (
    SELECT c.account, c.business_date, c.close_no, c.known_at,
           core.business_day_starts_at(c.business_date) AS starts_at,
           core.business_day_starts_at(c.business_date + 1) AS ends_at
    FROM recon.closed_days c
), touched AS (
    SELECT d.account, d.business_date, o.operation_id
    FROM days d
    JOIN core.operations o ON o.account = d.account AND o.observed_at > d.known_at
        AND core.business_at(o) >= d.starts_at AND core.business_at(o) < d.ends_at
    UNION
    SELECT d.account, d.business_date, v.operation_id
    FROM days d
    JOIN core.operation_versions v ON v.account = d.account AND v.observed_at <= d.known_at AND v.known_to > d.known_at
        AND core.business_at(v) >= d.starts_at AND core.business_at(v) < d.ends_at
), states AS (
    SELECT d.*, t.operation_id, b.operation_id IS NOT NULL AS was_known,
           coalesce(core.business_at(b) >= d.starts_at AND core.business_at(b) < d.ends_at, false) AS was_in,
           core.business_at(a) >= d.starts_at AND core.business_at(a) < d.ends_at AS is_in,
           a.observed_at AS restated_at, b.operation_type AS type_before, a.operation_type AS type_after,
           b.operation_status AS status_before, a.operation_status AS status_after,
           b.sum_initial_currency AS currency_before, a.sum_initial_currency AS currency_after,
           b.sum_initial_amount AS minor_before, a.sum_initial_amount AS minor_after
    FROM touched t
    JOIN days d USING (account, business_date)
    JOIN core.operations a ON a.account = t.account AND a.operation_id = t.operation_id
    LEFT JOIN core.operation_versions b ON b.account = t.account AND b.operation_id = t.operation_id
        AND b.observed_at <= d.known_at AND b.known_to > d.known_at
)
SELECT account, business_date, operation_id, close_no,
       CASE WHEN NOT was_known THEN 'new' WHEN NOT is_in THEN 'left the day'
            WHEN NOT was_in THEN 'entered the day' ELSE 'changed' END AS kind,
       known_at AS sealed_known_at, restated_at AS restated_known_at,
       CASE WHEN was_in THEN type_before END AS type_before, CASE WHEN is_in THEN type_after END AS type_after,
       CASE WHEN was_in THEN status_before END AS status_before, status_after,
       CASE WHEN was_in THEN currency_before END AS currency_before, CASE WHEN is_in THEN currency_after END AS currency_after,
       CASE WHEN was_in THEN minor_before END AS minor_before, CASE WHEN is_in THEN minor_after END AS minor_after
FROM states
WHERE (was_in OR is_in)
  AND (was_in, type_before, status_before, currency_before, minor_before)
      IS DISTINCT FROM (is_in, type_after, status_after, currency_after, minor_after);

COMMENT ON VIEW recon.restatements IS 'What the closed days would say today and do not: operations whose type, status, amount or day differs from the sealed figures.';
COMMENT ON COLUMN recon.restatements.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.restatements.business_date IS 'The closed business day.';
COMMENT ON COLUMN recon.restatements.operation_id IS 'The operation.';
COMMENT ON COLUMN recon.restatements.close_no IS 'The row of recon.closes with the sealed figures.';
COMMENT ON COLUMN recon.restatements.kind IS 'new (unknown when the day was closed), changed, left the day, entered the day.';
COMMENT ON COLUMN recon.restatements.sealed_known_at IS 'Moment of knowledge of the sealed figures.';
COMMENT ON COLUMN recon.restatements.restated_known_at IS 'Since when it is known otherwise.';
COMMENT ON COLUMN recon.restatements.type_before IS 'Type in the sealed figures; NULL: not in them.';
COMMENT ON COLUMN recon.restatements.type_after IS 'Type now; NULL: no longer of the day.';
COMMENT ON COLUMN recon.restatements.status_before IS 'Status in the sealed figures; NULL: not in them.';
COMMENT ON COLUMN recon.restatements.status_after IS 'Status now, whatever the day.';
COMMENT ON COLUMN recon.restatements.currency_before IS 'Currency in the sealed figures; NULL: not in them.';
COMMENT ON COLUMN recon.restatements.currency_after IS 'Currency now; NULL: no longer of the day.';
COMMENT ON COLUMN recon.restatements.minor_before IS 'Amount in the sealed figures, in minor units; NULL: not in them.';
COMMENT ON COLUMN recon.restatements.minor_after IS 'Amount now, in minor units; NULL: no longer of the day.';

CREATE VIEW recon.days AS
SELECT account, business_date,
       max(finished_at) FILTER (WHERE leg = 'completeness') AS completeness_at,
       (SELECT p.verdict FROM recon.completeness p
        WHERE p.account = r.account AND p.business_date = r.business_date
        ORDER BY p.walked_at DESC LIMIT 1) AS completeness,
       max(finished_at) FILTER (WHERE leg = 'books') AS books_at,
       max(finished_at) FILTER (WHERE leg = 'balances') AS balances_at,
       (SELECT count(*) FROM recon.breaks b
        WHERE b.account = r.account AND b.business_date = r.business_date AND b.state = 'open') AS open_breaks,
       (SELECT c.close_no FROM recon.closed_days c
        WHERE c.account = r.account AND c.business_date = r.business_date) AS close_no
FROM recon.runs r
GROUP BY account, business_date;

COMMENT ON VIEW recon.days IS 'How far the reconciliation of each day has come.';
COMMENT ON COLUMN recon.days.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.days.business_date IS 'Business day.';
COMMENT ON COLUMN recon.days.completeness_at IS 'When it was last held against a fresh walk.';
COMMENT ON COLUMN recon.days.completeness IS 'Verdict of that: complete, differs, incomplete.';
COMMENT ON COLUMN recon.days.books_at IS 'When it was last held against the own books.';
COMMENT ON COLUMN recon.days.balances_at IS 'When its balances were last rolled forward.';
COMMENT ON COLUMN recon.days.open_breaks IS 'Breaks of the day that are open.';
COMMENT ON COLUMN recon.days.close_no IS 'The row of recon.closes that closed it; NULL: not closed.';

-- A day is closed in two steps: one person prepares its figures, another closes it while they are still the same.
CREATE TABLE recon.close_preparations (
    account         text NOT NULL,
    preparation_no  bigint GENERATED ALWAYS AS IDENTITY,
    business_date   date NOT NULL,
    prepared_by     text NOT NULL CHECK (prepared_by <> ''),
    prepared_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    database_user   text NOT NULL DEFAULT session_user,
    figures_sha256  bytea NOT NULL,
    PRIMARY KEY (account, preparation_no)
);
CREATE INDEX close_preparations_day ON recon.close_preparations (account, business_date, preparation_no DESC);

COMMENT ON TABLE recon.close_preparations IS 'Who prepared which figures of a day for its close; the last one since the day was last closed or opened again counts. Never changed.';
COMMENT ON COLUMN recon.close_preparations.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.close_preparations.preparation_no IS 'Number of the preparation.';
COMMENT ON COLUMN recon.close_preparations.business_date IS 'Business day.';
COMMENT ON COLUMN recon.close_preparations.prepared_by IS 'Who prepared the figures, by the name given to the command.';
COMMENT ON COLUMN recon.close_preparations.prepared_at IS 'When.';
COMMENT ON COLUMN recon.close_preparations.database_user IS 'Role that the command was connected as.';
COMMENT ON COLUMN recon.close_preparations.figures_sha256 IS 'SHA-256 of the figures prepared: the day''s totals, verdict, books, breaks and balances. The day is closed only while they are the same.';

CREATE FUNCTION recon.keep_preparations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a preparation is never changed: prepare the day again with `ecommpay-sync close`';
END $$;
COMMENT ON FUNCTION recon.keep_preparations() IS 'Refuses to change or delete a row of recon.close_preparations.';
CREATE TRIGGER keep_preparations BEFORE UPDATE OR DELETE ON recon.close_preparations
    FOR EACH ROW EXECUTE FUNCTION recon.keep_preparations();

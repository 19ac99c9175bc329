-- What a reconciliation finds: runs, proofs of completeness, matches, breaks with their history, balances rolled forward.

CREATE TABLE recon.runs (
    account         text NOT NULL,
    run_no          bigint GENERATED ALWAYS AS IDENTITY,
    business_date   date NOT NULL,
    leg             text NOT NULL CHECK (leg IN ('completeness', 'books', 'balances')),
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
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
COMMENT ON COLUMN recon.runs.figures IS 'What it counted; for books: operations, entries, matched, and by pass.';

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
COMMENT ON COLUMN recon.completeness.interval_to IS 'Last second of it, included.';
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
    pass            text NOT NULL CHECK (pass IN ('operation_id', 'payment', 'reference', 'amount_time')),
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
COMMENT ON COLUMN recon.matches.pass IS 'What made them one: operation_id, payment (project, payment id, type), reference (ARN or RRN, and amount), amount_time (amount, currency, type, time).';
COMMENT ON COLUMN recon.matches.match_key IS 'The key that they share.';
COMMENT ON COLUMN recon.matches.score IS 'How sure: 100 operation id, 90 payment with equal amounts, 80 payment alone, 75 reference, 60 amount and time, 50 the same where several fit.';
COMMENT ON COLUMN recon.matches.shape IS 'Operations to entries: 1:1, 1:n (a split booking) or n:1 (a batch booked as one).';
COMMENT ON COLUMN recon.matches.matched_at IS 'When the match was made first.';

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
    amount_minor       bigint,
    platform_currency  text,
    platform_minor     bigint,
    platform_status    text,
    ledger_currency    text,
    ledger_minor       bigint,
    ledger_status      text,
    detail             text NOT NULL,
    state              text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'explained', 'resolved')),
    owner              text,
    note               text,
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
COMMENT ON COLUMN recon.breaks.note IS 'What they said.';
COMMENT ON COLUMN recon.breaks.opened_at IS 'When it was found first.';
COMMENT ON COLUMN recon.breaks.changed_at IS 'When anything in this row last changed.';
COMMENT ON COLUMN recon.breaks.resolved_at IS 'When it was no longer found.';

CREATE TABLE recon.break_events (
    account       text NOT NULL,
    event_id      bigint GENERATED ALWAYS AS IDENTITY,
    break_id      bigint NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    event         text NOT NULL CHECK (event IN ('opened', 'explained', 'changed', 'resolved', 'reopened')),
    actor         text NOT NULL,
    amount_minor  bigint,
    note          text,
    PRIMARY KEY (account, event_id),
    FOREIGN KEY (account, break_id) REFERENCES recon.breaks (account, break_id)
);
CREATE INDEX break_events_break ON recon.break_events (account, break_id);
COMMENT ON TABLE recon.break_events IS 'The history of the breaks.';
COMMENT ON COLUMN recon.break_events.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN recon.break_events.event_id IS 'Number of the event.';
COMMENT ON COLUMN recon.break_events.break_id IS 'The break.';
COMMENT ON COLUMN recon.break_events.at IS 'When.';
COMMENT ON COLUMN recon.break_events.event IS 'opened, explained, changed (other figures: open again), resolved (no longer found) or reopened (found again).';
COMMENT ON COLUMN recon.break_events.actor IS 'Who: a name, or reconcile.';
COMMENT ON COLUMN recon.break_events.amount_minor IS 'Amount of the break at that time.';
COMMENT ON COLUMN recon.break_events.note IS 'What was said, or found.';

-- Written by hand, by the command and by the reconciliation alike: the history is not left to any of them.
CREATE FUNCTION recon.log_break() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recon.break_events (account, break_id, event, actor, amount_minor, note)
    VALUES (NEW.account, NEW.break_id,
        CASE WHEN TG_OP = 'INSERT' THEN 'opened'
             WHEN NEW.state = 'resolved' THEN 'resolved'
             WHEN OLD.state = 'resolved' THEN 'reopened'
             WHEN NEW.state = 'explained' THEN 'explained'
             ELSE 'changed' END,
        coalesce(nullif(current_setting('recon.actor', true), ''), current_user), NEW.amount_minor,
        CASE WHEN NEW.state = 'explained' THEN NEW.note ELSE NEW.detail END);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION recon.log_break() IS 'Writes the history of a break.';
CREATE TRIGGER log_break AFTER INSERT OR UPDATE ON recon.breaks FOR EACH ROW EXECUTE FUNCTION recon.log_break();

CREATE TABLE recon.balance_rollforward (
    account              text NOT NULL,
    business_date        date NOT NULL,
    balance_name         text NOT NULL,
    currency             text NOT NULL,
    opening_at           timestamptz,
    opening_minor        bigint,
    movements_minor      bigint NOT NULL,
    movements            bigint NOT NULL,
    closing_at           timestamptz,
    closing_minor        bigint,
    unexplained_minor    bigint,
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

CREATE VIEW recon.aged_breaks AS
SELECT b.*, age.days AS age_days,
       CASE WHEN age.days <= 1 THEN '0–1' WHEN age.days <= 3 THEN '2–3' WHEN age.days <= 7 THEN '4–7'
            WHEN age.days <= 30 THEN '8–30' ELSE 'over 30' END AS age_bucket
FROM recon.breaks b
CROSS JOIN (SELECT core.business_date(now()) AS today) AS clock
CROSS JOIN LATERAL (SELECT greatest(0, clock.today - b.business_date) AS days) AS age
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
COMMENT ON COLUMN recon.aged_breaks.note IS 'What they said.';
COMMENT ON COLUMN recon.aged_breaks.opened_at IS 'When it was found first.';
COMMENT ON COLUMN recon.aged_breaks.changed_at IS 'When anything in this row last changed.';
COMMENT ON COLUMN recon.aged_breaks.resolved_at IS 'When it was no longer found.';
COMMENT ON COLUMN recon.aged_breaks.age_days IS 'Days since business_date, in the reporting zone.';
COMMENT ON COLUMN recon.aged_breaks.age_bucket IS 'Age as a bucket of days: 0–1, 2–3, 4–7, 8–30, over 30.';

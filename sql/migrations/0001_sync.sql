-- Schema sync: what was asked for, when, and whether it is complete; alerts, pace, refreshes of the marts.
-- What of it reads the core is in 0004_history.sql.

CREATE SCHEMA IF NOT EXISTS sync;
COMMENT ON SCHEMA sync IS 'What was asked for, when, and whether it is complete.';

CREATE TABLE sync.runs (
    run_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account           text NOT NULL,
    stream            text NOT NULL,
    interval_from     timestamptz,
    interval_to       timestamptz,
    project_ids       bigint[] NOT NULL DEFAULT '{}',
    dagster_run_id    text,
    product_version   text NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT now(),
    finished_at       timestamptz,
    state             text NOT NULL DEFAULT 'running' 
                      CHECK (state IN ('running', 'complete', 'incomplete', 'failed', 'skipped')),
    message           text,
    requests          bigint,
    error_kind        text,
    resumed_windows   bigint[] NOT NULL DEFAULT '{}'
);
CREATE INDEX runs_latest ON sync.runs (account, stream, started_at DESC);

COMMENT ON TABLE sync.runs IS 'One row for each time a sync was started.';
COMMENT ON COLUMN sync.runs.run_id IS 'Our own number of the run.';
COMMENT ON COLUMN sync.runs.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations, fraud, balances, documents:NAME; or how it was checked: spot check, completeness.';
COMMENT ON COLUMN sync.runs.interval_from IS 'First second asked for; NULL for balances and snapshots of documents.';
COMMENT ON COLUMN sync.runs.interval_to IS 'Last second asked for, included; NULL for balances and snapshots of documents.';
COMMENT ON COLUMN sync.runs.project_ids IS 'Projects asked for; empty: every project that the token may see.';
COMMENT ON COLUMN sync.runs.dagster_run_id IS 'The Dagster run that it was part of.';
COMMENT ON COLUMN sync.runs.product_version IS 'Version of ecommpay-sync.';
COMMENT ON COLUMN sync.runs.started_at IS 'When it was started.';
COMMENT ON COLUMN sync.runs.finished_at IS 'When it ended; NULL while it runs, or when it was killed.';
COMMENT ON COLUMN sync.runs.state IS 'running, complete, incomplete (some window could not be proved complete), failed, or skipped (the token has no right to the stream, and needs none).';
COMMENT ON COLUMN sync.runs.message IS 'Why it is not complete, in one line.';
COMMENT ON COLUMN sync.runs.requests IS 'HTTP requests sent, retries included.';
COMMENT ON COLUMN sync.runs.error_kind IS 'Kind of the error that ended it, for example unauthorized or rate_limited; NULL: none.';
COMMENT ON COLUMN sync.runs.resumed_windows IS 'Windows (sync.windows.window_id) of interrupted runs that it did not walk again; what they counted of a shared boundary second it does not count.';

CREATE SEQUENCE sync.window_ids;

CREATE TABLE sync.windows (
    window_id         bigint PRIMARY KEY,
    account           text NOT NULL,
    entry_no          bigint NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    stream            text NOT NULL,
    project_ids       bigint[] NOT NULL,
    interval_from     timestamptz NOT NULL,
    interval_to       timestamptz NOT NULL CHECK (interval_to >= interval_from),
    verdict           text NOT NULL CHECK (verdict IN ('complete', 'incomplete')),
    reason            text,
    walk_started_at   timestamptz NOT NULL,
    walk_ended_at     timestamptz NOT NULL,
    walks             integer NOT NULL,
    drifts            integer NOT NULL,
    pages             integer NOT NULL,
    requests          integer NOT NULL,
    rows_met          bigint NOT NULL,
    rows_new          bigint NOT NULL,
    rows_changed      bigint NOT NULL,
    rows_unchanged    bigint NOT NULL,
    rows_rejected     bigint NOT NULL,
    totals_met        jsonb NOT NULL,
    totals_written    jsonb NOT NULL,
    rows_digest       text,
    committed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous_hash     bytea NOT NULL,
    entry_hash        bytea NOT NULL,
    pages_digest      text,
    UNIQUE (account, entry_no)
);
CREATE INDEX windows_interval ON sync.windows (account, stream, interval_from, interval_to);
CREATE INDEX windows_run ON sync.windows (run_id);

COMMENT ON TABLE sync.windows IS 'The ledger: one row for each interval that was walked, with its verdict; chained by hashes, never updated.';
COMMENT ON COLUMN sync.windows.window_id IS 'Number of the walk; rows and raw pages refer to it.';
COMMENT ON COLUMN sync.windows.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.windows.entry_no IS 'Position in the account''s chain, from 1, without holes.';
COMMENT ON COLUMN sync.windows.run_id IS 'The run it was part of.';
COMMENT ON COLUMN sync.windows.stream IS 'What was walked: operations, fraud, or documents:NAME; a snapshot of documents is a window of one second.';
COMMENT ON COLUMN sync.windows.project_ids IS 'Projects asked for; empty: every project that the token may see.';
COMMENT ON COLUMN sync.windows.interval_from IS 'First second of the window, included.';
COMMENT ON COLUMN sync.windows.interval_to IS 'Last second of the window, included; the window after it begins with the same second.';
COMMENT ON COLUMN sync.windows.verdict IS 'complete: every operation that was in the interval throughout the walk was met; incomplete: that could not be shown, and nothing was loaded.';
COMMENT ON COLUMN sync.windows.reason IS 'Why it is incomplete.';
COMMENT ON COLUMN sync.windows.walk_started_at IS 'When the first request of the walk was started, by the clock of the platform: what it brought is known from then on.';
COMMENT ON COLUMN sync.windows.walk_ended_at IS 'When the last answer was received, by that clock.';
COMMENT ON COLUMN sync.windows.walks IS 'How often the window was walked until it was at rest.';
COMMENT ON COLUMN sync.windows.drifts IS 'How many of these walks met data that moved.';
COMMENT ON COLUMN sync.windows.pages IS 'Answers used, probes not counted.';
COMMENT ON COLUMN sync.windows.requests IS 'Answers asked for, probes counted, retries not.';
COMMENT ON COLUMN sync.windows.rows_met IS 'Operations met, each counted once, rejects included; without those that a neighbouring window of the run has counted, unless they have changed since.';
COMMENT ON COLUMN sync.windows.rows_new IS 'Rows not in the store before.';
COMMENT ON COLUMN sync.windows.rows_changed IS 'Rows whose stored state was replaced.';
COMMENT ON COLUMN sync.windows.rows_unchanged IS 'Rows already stored in this, or a later observed, state.';
COMMENT ON COLUMN sync.windows.rows_rejected IS 'Rows that could not be typed: core.rejects.';
COMMENT ON COLUMN sync.windows.totals_met IS 'Control totals of the typed rows counted in rows_met: [{currency, type, status, count, minor}].';
COMMENT ON COLUMN sync.windows.totals_written IS 'Control totals of the rows that this walk wrote (new and changed), in the same form.';
COMMENT ON COLUMN sync.windows.rows_digest IS 'SHA-256 of the typed rows met, sorted by their key: see docs/architecture.md.';
COMMENT ON COLUMN sync.windows.committed_at IS 'When rows and verdict were committed together.';
COMMENT ON COLUMN sync.windows.previous_hash IS 'entry_hash of the account''s entry before; 32 zero bytes for the first.';
COMMENT ON COLUMN sync.windows.entry_hash IS 'SHA-256 over previous_hash and this entry: sync.entry_hash().';
COMMENT ON COLUMN sync.windows.pages_digest IS 'SHA-256 over the SHA-256 of the walk''s raw pages, in the order of their requests: says which pages it had, also when they are no longer kept. NULL: walked before this column.';

-- Nulls are left out, so that a column added later does not change the hash of an older entry.
CREATE FUNCTION sync.entry_hash(entry sync.windows) RETURNS bytea
LANGUAGE sql STABLE SET timezone = 'UTC' SET datestyle = 'ISO' SET extra_float_digits = 1
RETURN sha256((entry).previous_hash
    || convert_to((jsonb_strip_nulls(to_jsonb(entry)) - 'entry_hash' - 'previous_hash')::text, 'UTF8'));
COMMENT ON FUNCTION sync.entry_hash(sync.windows) IS 'What entry_hash of a ledger entry must be.';

CREATE FUNCTION sync.chain_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_no bigint;
    last_hash bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('sync.windows ' || NEW.account, 0));
    SELECT entry_no, entry_hash INTO last_no, last_hash
    FROM sync.windows WHERE account = NEW.account ORDER BY entry_no DESC LIMIT 1;
    NEW.entry_no := coalesce(last_no, 0) + 1;
    NEW.previous_hash := coalesce(last_hash, decode(repeat('00', 32), 'hex'));
    NEW.entry_hash := sync.entry_hash(NEW);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION sync.chain_entry() IS 'Numbers and chains a new ledger entry; one at a time for an account.';
CREATE TRIGGER chain_entry BEFORE INSERT ON sync.windows FOR EACH ROW EXECUTE FUNCTION sync.chain_entry();

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
COMMENT ON COLUMN sync.spot_checks.run_id IS 'The run that requested it.';
COMMENT ON COLUMN sync.spot_checks.payment_id IS 'The payment that was asked for.';
COMMENT ON COLUMN sync.spot_checks.operation_id IS 'The operation that was compared.';
COMMENT ON COLUMN sync.spot_checks.field IS 'The field that differs; operation: it is missing on one side; empty: all of it is equal.';
COMMENT ON COLUMN sync.spot_checks.outcome IS 'equal; not loaded: its day is not covered, or one after it, to which it may have moved; changed since: equal once what came after the last walk was loaded and it was asked for again; different.';
COMMENT ON COLUMN sync.spot_checks.stored IS 'What the store holds; NULL when equal, or missing in the store.';
COMMENT ON COLUMN sync.spot_checks.answered IS 'What the platform answered; NULL when equal, or missing in the answer.';
COMMENT ON COLUMN sync.spot_checks.asked_at IS 'When the (last) request was started.';

CREATE TABLE sync.mart_refreshes (
    account               text NOT NULL,
    mart_group            text NOT NULL,
    entry_no              bigint NOT NULL,
    reference_fingerprint text NOT NULL,
    refreshed_at          timestamptz NOT NULL,
    is_full               boolean NOT NULL,
    days                  bigint NOT NULL,
    payments              bigint NOT NULL,
    PRIMARY KEY (account, mart_group)
);

COMMENT ON TABLE sync.mart_refreshes IS 'How much of each account''s ledger the tables of bi.* hold.';
COMMENT ON COLUMN sync.mart_refreshes.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.mart_refreshes.mart_group IS 'Which tables: operations (daily_overview, fct_payments and their dimensions).';
COMMENT ON COLUMN sync.mart_refreshes.entry_no IS 'Last entry of sync.windows whose rows are in the tables.';
COMMENT ON COLUMN sync.mart_refreshes.reference_fingerprint IS 'Currencies and settings they were built with: core.settings.';
COMMENT ON COLUMN sync.mart_refreshes.refreshed_at IS 'When the transaction of the last refresh began: the marts show the core of that moment.';
COMMENT ON COLUMN sync.mart_refreshes.is_full IS 'Whether the last refresh built everything anew.';
COMMENT ON COLUMN sync.mart_refreshes.days IS 'Business days that the last refresh built.';
COMMENT ON COLUMN sync.mart_refreshes.payments IS 'Payments that the last refresh built; of one that built everything, payments and currencies.';

CREATE TABLE sync.due (
    account      text NOT NULL,
    stream       text NOT NULL,
    schedule     text NOT NULL,
    next_run_at  timestamptz NOT NULL,
    PRIMARY KEY (account, stream)
);

COMMENT ON TABLE sync.due IS 'When each stream''s next scheduled run is due, as of the last build of the marts.';
COMMENT ON COLUMN sync.due.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.due.stream IS 'operations or balances.';
COMMENT ON COLUMN sync.due.schedule IS 'The cron expression and its time zone.';
COMMENT ON COLUMN sync.due.next_run_at IS 'When the next run is to start.';

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
    documents          bigint NOT NULL DEFAULT 0,
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
COMMENT ON COLUMN sync.erasures.documents IS 'Rows of core.documents and of its versions whose personal values were taken out.';

-- What was alerted, and to whom it went; and the figures of each night, with which the next ones are compared.
CREATE TABLE sync.alerts (
    account           text NOT NULL,
    cause             text NOT NULL,
    first_seen_at     timestamptz NOT NULL,
    last_seen_at      timestamptz NOT NULL,
    kind              text NOT NULL,
    title             text NOT NULL,
    message           text NOT NULL,
    sent_to           text[] NOT NULL DEFAULT '{}',
    sent_at           timestamptz,
    resolved_at       timestamptz,
    over_sent_to      text[] NOT NULL DEFAULT '{}',
    over_sent_at      timestamptz,
    last_day          date,
    newest_sent_to    text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (account, cause, first_seen_at)
);
CREATE UNIQUE INDEX alerts_open ON sync.alerts (account, cause) WHERE resolved_at IS NULL;

COMMENT ON TABLE sync.alerts IS 'One row for each time a cause for an alert began; it is sent once, again for each further day that it is about, and when it is over.';
COMMENT ON COLUMN sync.alerts.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.alerts.cause IS 'Key of the cause: the kind, and what it is about.';
COMMENT ON COLUMN sync.alerts.first_seen_at IS 'When the cause was seen first.';
COMMENT ON COLUMN sync.alerts.last_seen_at IS 'When the cause was seen last.';
COMMENT ON COLUMN sync.alerts.kind IS 'run_failed, check_failed, nightly_late, volume, lateness, token_refused, right_refused, breaks, ledger_broken: docs/runbook.md has a section for each.';
COMMENT ON COLUMN sync.alerts.title IS 'What happened, in a few words.';
COMMENT ON COLUMN sync.alerts.message IS 'What happened, where to look, what to do.';
COMMENT ON COLUMN sync.alerts.sent_to IS 'Channels that took a message that it stands.';
COMMENT ON COLUMN sync.alerts.sent_at IS 'When every channel had taken the newest; NULL: tried again at the next tick.';
COMMENT ON COLUMN sync.alerts.resolved_at IS 'When the cause was gone; NULL: it stands.';
COMMENT ON COLUMN sync.alerts.over_sent_to IS 'Channels that took the message that it is over.';
COMMENT ON COLUMN sync.alerts.over_sent_at IS 'When every channel had taken that one.';
COMMENT ON COLUMN sync.alerts.last_day IS 'Last day that the cause was about: a later one is sent anew; NULL: it is about no days in a row.';
COMMENT ON COLUMN sync.alerts.newest_sent_to IS 'Channels that took the newest message that it stands: of days in a row, the one since last_day was missed.';

CREATE TABLE sync.nights (
    account           text NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    last_day          date NOT NULL,
    rows_new          bigint NOT NULL,
    rows_late         bigint NOT NULL,
    measured_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, run_id)
);

COMMENT ON TABLE sync.nights IS 'Figures of each complete nightly run, measured once, since later walks move them.';
COMMENT ON COLUMN sync.nights.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.nights.run_id IS 'The run.';
COMMENT ON COLUMN sync.nights.last_day IS 'The last UTC day that it loaded.';
COMMENT ON COLUMN sync.nights.rows_new IS 'Operations that it met first.';
COMMENT ON COLUMN sync.nights.rows_late IS 'Of these, the ones completed more than 48 hours before: an earlier night should have met them.';
COMMENT ON COLUMN sync.nights.measured_at IS 'When these figures were taken.';

-- How many requests each run sent, by endpoint and status.
CREATE TABLE sync.requests (
    account           text NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    endpoint          text NOT NULL,
    status            integer NOT NULL,
    requests          bigint NOT NULL,
    retries           bigint NOT NULL,
    PRIMARY KEY (account, run_id, endpoint, status)
);

COMMENT ON TABLE sync.requests IS 'HTTP requests of each run that has ended, counted by endpoint and status.';
COMMENT ON COLUMN sync.requests.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.requests.run_id IS 'The run that sent them.';
COMMENT ON COLUMN sync.requests.endpoint IS 'Endpoint of the Data API, for example operations/get.';
COMMENT ON COLUMN sync.requests.status IS 'HTTP status of the answer; 0: no whole answer came.';
COMMENT ON COLUMN sync.requests.requests IS 'How many such requests, the first and the repeated ones.';
COMMENT ON COLUMN sync.requests.retries IS 'How many of them were repetitions of a request that had failed.';

-- One pace for all processes that use a token: when the platform says 429 to one of them, all wait.
CREATE TABLE sync.pace (
    account           text PRIMARY KEY,
    resume_at         timestamptz NOT NULL,
    asked_at          timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE sync.pace IS 'Until when no request of an account''s token may start, whichever process it is of.';
COMMENT ON COLUMN sync.pace.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.pace.resume_at IS 'When requests may start again, by the clock of this server.';
COMMENT ON COLUMN sync.pace.asked_at IS 'When the platform last answered 429.';

CREATE TABLE sync.requests_in_flight (
    account           text NOT NULL,
    process           text NOT NULL,
    in_flight_limit   integer NOT NULL,
    is_active         boolean NOT NULL DEFAULT true,
    seen_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, process)
);

COMMENT ON TABLE sync.requests_in_flight IS
    'How many requests each process of an account''s token keeps in flight; found by it, and shared by all.';
COMMENT ON COLUMN sync.requests_in_flight.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.requests_in_flight.process IS 'Which process; a random name.';
COMMENT ON COLUMN sync.requests_in_flight.in_flight_limit IS 'Its limit when it was last seen.';
COMMENT ON COLUMN sync.requests_in_flight.is_active IS 'Whether its run goes on; a process that was killed is known by its seen_at.';
COMMENT ON COLUMN sync.requests_in_flight.seen_at IS 'When it last sent a request, within a second or so.';


CREATE TABLE sync.document_streams (
    account           text NOT NULL,
    stream            text COLLATE "C" NOT NULL,
    endpoint          text NOT NULL,
    rows_path         text,
    key_paths         text[] NOT NULL,
    first_used_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, stream)
);

COMMENT ON TABLE sync.document_streams IS 'How the documents of a stream are found in an answer and identified, since its first load: replay reads it. Another way needs another name.';
COMMENT ON COLUMN sync.document_streams.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.document_streams.stream IS 'documents: and the name in DOCUMENTS_FILE.';
COMMENT ON COLUMN sync.document_streams.endpoint IS 'Endpoint of the Data API.';
COMMENT ON COLUMN sync.document_streams.rows_path IS 'Dotted path of the list of documents in an answer; NULL: the only list, or the answer itself.';
COMMENT ON COLUMN sync.document_streams.key_paths IS 'Dotted paths in a document whose values make its key; empty: the digest of its content does.';
COMMENT ON COLUMN sync.document_streams.first_used_at IS 'When it was first loaded.';

-- Which runs were killed: each holds an advisory lock of its own, which dies with its process or its connection.
CREATE FUNCTION sync.was_killed(run sync.runs) RETURNS boolean
LANGUAGE sql STABLE
RETURN run.state = 'running'
    AND run.started_at < statement_timestamp() - interval '10 seconds' -- it takes its lock within moments
    AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = CAST(20090 AS oid) AND objid = CAST(mod(run.run_id, 2147483647) AS oid)
    );
COMMENT ON FUNCTION sync.was_killed(sync.runs) IS 'Whether a run that has not ended never will: its process is gone.';

-- The schemas, and the record of what was walked: runs, windows (hash-chained), raw pages, rejects.

CREATE SCHEMA IF NOT EXISTS core;
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS sync;

COMMENT ON SCHEMA core IS 'What the platform says, typed: one row an operation, balances, what could not be typed.';
COMMENT ON SCHEMA raw IS 'The bodies the platform signed, as they came.';
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
    state             text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'complete', 'incomplete', 'failed')),
    message           text,
    requests          bigint
);
CREATE INDEX runs_latest ON sync.runs (account, stream, started_at DESC);

COMMENT ON TABLE sync.runs IS 'One row for each time a sync was started.';
COMMENT ON COLUMN sync.runs.run_id IS 'Our own number of the run.';
COMMENT ON COLUMN sync.runs.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations or balances.';
COMMENT ON COLUMN sync.runs.interval_from IS 'First second asked for; NULL for balances.';
COMMENT ON COLUMN sync.runs.interval_to IS 'Last second asked for, included; NULL for balances.';
COMMENT ON COLUMN sync.runs.project_ids IS 'Projects asked for; empty: every project that the token may see.';
COMMENT ON COLUMN sync.runs.dagster_run_id IS 'The Dagster run that it was part of.';
COMMENT ON COLUMN sync.runs.product_version IS 'Version of ecommpay-sync.';
COMMENT ON COLUMN sync.runs.started_at IS 'When it was started.';
COMMENT ON COLUMN sync.runs.finished_at IS 'When it ended; NULL while it runs, or when it was killed.';
COMMENT ON COLUMN sync.runs.state IS 'running, complete, incomplete (some window could not be proved complete) or failed.';
COMMENT ON COLUMN sync.runs.message IS 'Why it is not complete, in one line.';
COMMENT ON COLUMN sync.runs.requests IS 'HTTP requests sent, retries included.';

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
    UNIQUE (account, entry_no)
);
CREATE INDEX windows_interval ON sync.windows (account, stream, interval_from, interval_to);
CREATE INDEX windows_run ON sync.windows (run_id);

COMMENT ON TABLE sync.windows IS 'The ledger: one row for each interval that was walked, with its verdict; chained by hashes, never updated.';
COMMENT ON COLUMN sync.windows.window_id IS 'Number of the walk; rows and raw pages refer to it.';
COMMENT ON COLUMN sync.windows.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.windows.entry_no IS 'Position in the account''s chain, from 1, without holes.';
COMMENT ON COLUMN sync.windows.run_id IS 'The run it was part of.';
COMMENT ON COLUMN sync.windows.stream IS 'What was walked: operations.';
COMMENT ON COLUMN sync.windows.project_ids IS 'Projects asked for; empty: every project that the token may see.';
COMMENT ON COLUMN sync.windows.interval_from IS 'First second of the window, included.';
COMMENT ON COLUMN sync.windows.interval_to IS 'Last second of the window, included.';
COMMENT ON COLUMN sync.windows.verdict IS 'complete: every operation that was in the interval throughout the walk was met; incomplete: that could not be shown, and nothing was loaded.';
COMMENT ON COLUMN sync.windows.reason IS 'Why it is incomplete.';
COMMENT ON COLUMN sync.windows.walk_started_at IS 'When the first request of the walk was started: what it brought is known from then on.';
COMMENT ON COLUMN sync.windows.walk_ended_at IS 'When the last answer was received.';
COMMENT ON COLUMN sync.windows.walks IS 'How often the window was walked until it was at rest.';
COMMENT ON COLUMN sync.windows.drifts IS 'How many of these walks met data that moved.';
COMMENT ON COLUMN sync.windows.pages IS 'Answers used, probes not counted.';
COMMENT ON COLUMN sync.windows.requests IS 'Answers asked for, probes counted, retries not.';
COMMENT ON COLUMN sync.windows.rows_met IS 'Operations met, each counted once, rejects included.';
COMMENT ON COLUMN sync.windows.rows_new IS 'Operations not in the store before.';
COMMENT ON COLUMN sync.windows.rows_changed IS 'Operations whose stored state was replaced.';
COMMENT ON COLUMN sync.windows.rows_unchanged IS 'Operations already stored in this, or a later observed, state.';
COMMENT ON COLUMN sync.windows.rows_rejected IS 'Rows that could not be typed: core.rejects.';
COMMENT ON COLUMN sync.windows.totals_met IS 'Control totals of the typed rows met: [{currency, type, status, count, minor}].';
COMMENT ON COLUMN sync.windows.totals_written IS 'Control totals of the rows that this walk wrote (new and changed), in the same form.';
COMMENT ON COLUMN sync.windows.rows_digest IS 'SHA-256 of the typed rows met, sorted by operation_id: see docs/architecture.md.';
COMMENT ON COLUMN sync.windows.committed_at IS 'When rows and verdict were committed together.';
COMMENT ON COLUMN sync.windows.previous_hash IS 'entry_hash of the account''s entry before; 32 zero bytes for the first.';
COMMENT ON COLUMN sync.windows.entry_hash IS 'SHA-256 over previous_hash and this entry: sync.entry_hash().';

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

CREATE TABLE raw.pages (
    page_id           bigint GENERATED ALWAYS AS IDENTITY,
    account           text NOT NULL,
    window_id         bigint,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    endpoint          text NOT NULL,
    request           jsonb NOT NULL,
    requested_at      timestamptz NOT NULL,
    received_at       timestamptz NOT NULL,
    row_count         integer NOT NULL,
    body_bytes        integer NOT NULL,
    body_sha256       bytea NOT NULL,
    signature         text NOT NULL,
    body_zstd         bytea NOT NULL,
    PRIMARY KEY (account, page_id)
);
ALTER TABLE raw.pages ALTER COLUMN body_zstd SET STORAGE EXTERNAL;
CREATE INDEX pages_window ON raw.pages (window_id);

COMMENT ON TABLE raw.pages IS 'Every answer whose rows were loaded, compressed, as the platform signed it.';
COMMENT ON COLUMN raw.pages.page_id IS 'Number of the page.';
COMMENT ON COLUMN raw.pages.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN raw.pages.window_id IS 'The walk it was part of; NULL for balances.';
COMMENT ON COLUMN raw.pages.run_id IS 'The run it was part of.';
COMMENT ON COLUMN raw.pages.endpoint IS 'Endpoint of the Data API, for example operations/get.';
COMMENT ON COLUMN raw.pages.request IS 'Parameters of the request, never its token or signature.';
COMMENT ON COLUMN raw.pages.requested_at IS 'When the request was started.';
COMMENT ON COLUMN raw.pages.received_at IS 'When the answer was whole.';
COMMENT ON COLUMN raw.pages.row_count IS 'Rows in the answer.';
COMMENT ON COLUMN raw.pages.body_bytes IS 'Size of the body before compression.';
COMMENT ON COLUMN raw.pages.body_sha256 IS 'SHA-256 of the body before compression.';
COMMENT ON COLUMN raw.pages.signature IS 'The platform''s signature, as in the body.';
COMMENT ON COLUMN raw.pages.body_zstd IS 'The body, compressed with zstd.';

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
COMMENT ON COLUMN core.rejects.stream IS 'operations or balances.';
COMMENT ON COLUMN core.rejects.row_sha256 IS 'SHA-256 of raw_json: the same row is kept once.';
COMMENT ON COLUMN core.rejects.reason IS 'Which field could not be typed, and why.';
COMMENT ON COLUMN core.rejects.raw_json IS 'The row as it came, as JSON text.';
COMMENT ON COLUMN core.rejects.run_id IS 'The run that met it last.';
COMMENT ON COLUMN core.rejects.window_id IS 'The walk that met it last; NULL for balances.';
COMMENT ON COLUMN core.rejects.first_seen_at IS 'When it was met first.';
COMMENT ON COLUMN core.rejects.last_seen_at IS 'When it was met last.';

-- core.documents: one row a document of an endpoint whose response format is not described to us, as last observed;
-- core.document_versions: what it was before. The columns between account and first_seen_at are in the order that
-- resources/warehouse/load.py copies them.

CREATE TABLE core.documents (
    account           text NOT NULL,
    stream            text COLLATE "C" NOT NULL,
    document_key      text COLLATE "C" NOT NULL,
    endpoint          text NOT NULL,
    document          jsonb NOT NULL,
    document_sha256   text NOT NULL,
    observed_at       timestamptz NOT NULL,
    first_seen_at     timestamptz NOT NULL,
    window_id         bigint NOT NULL,
    PRIMARY KEY (account, stream, document_key)
);
CREATE INDEX documents_window ON core.documents (window_id);

COMMENT ON TABLE core.documents IS 'One row a document of an endpoint without a described response format (DOCUMENTS_FILE), as last observed. May hold personal data anywhere.';
COMMENT ON COLUMN core.documents.account IS 'Which token''s account it came through (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.documents.stream IS 'documents: and the name of the stream in DOCUMENTS_FILE; as in sync.windows and core.rejects.';
COMMENT ON COLUMN core.documents.document_key IS 'What tells it: the value at the configured path, a JSON list of the values at several; without a configured key, document_sha256 at first sight.';
COMMENT ON COLUMN core.documents.endpoint IS 'Endpoint of the Data API it came from, for example chargeback/list.';
COMMENT ON COLUMN core.documents.document IS 'Personal data, possibly: the document as it came; numbers exact at any size.';
COMMENT ON COLUMN core.documents.document_sha256 IS 'SHA-256 of the document''s canonical text: keys sorted, no spaces, numbers spelled as they came.';
COMMENT ON COLUMN core.documents.observed_at IS 'When the request that first brought this state was started; of a version, known from.';
COMMENT ON COLUMN core.documents.first_seen_at IS 'When the document was first observed in any state.';
COMMENT ON COLUMN core.documents.window_id IS 'The walk that brought this state: sync.windows.window_id.';

CREATE TABLE core.document_versions (
    LIKE core.documents INCLUDING COMMENTS,
    known_to          timestamptz NOT NULL,
    PRIMARY KEY (account, stream, document_key, observed_at)
);
CREATE INDEX document_versions_window ON core.document_versions (window_id);

COMMENT ON TABLE core.document_versions IS 'What a document was before: known from observed_at until known_to. May hold personal data anywhere.';
COMMENT ON COLUMN core.document_versions.known_to IS 'Known until: when the request that brought the next state was started.';

CREATE FUNCTION core.documents_as_of(moment timestamptz) RETURNS SETOF core.documents
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT d.* FROM core.documents d WHERE d.observed_at <= moment
    UNION ALL
    SELECT v.account, v.stream, v.document_key, v.endpoint, v.document, v.document_sha256, v.observed_at,
           v.first_seen_at, v.window_id
    FROM core.document_versions v WHERE v.observed_at <= moment AND v.known_to > moment;
END;
COMMENT ON FUNCTION core.documents_as_of(timestamptz) IS 'Every document as it was known at a moment: one row each, in the columns of core.documents.';

CREATE TABLE sync.document_streams (
    account           text NOT NULL,
    stream            text COLLATE "C" NOT NULL,
    endpoint          text NOT NULL,
    rows_path         text,
    key_paths         text[] NOT NULL,
    first_used_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, stream)
);
COMMENT ON TABLE sync.document_streams IS 'How the documents of a stream are found in an answer and told apart, since its first load: replay reads it. Another way needs another name.';
COMMENT ON COLUMN sync.document_streams.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.document_streams.stream IS 'documents: and the name in DOCUMENTS_FILE.';
COMMENT ON COLUMN sync.document_streams.endpoint IS 'Endpoint of the Data API.';
COMMENT ON COLUMN sync.document_streams.rows_path IS 'Dotted path of the list of documents in an answer; NULL: the only list, or the answer itself.';
COMMENT ON COLUMN sync.document_streams.key_paths IS 'Dotted paths in a document whose values make its key; empty: the digest of its content does.';
COMMENT ON COLUMN sync.document_streams.first_used_at IS 'When it was first loaded.';

ALTER TABLE sync.erasures ADD COLUMN documents bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN sync.erasures.documents IS 'Rows of core.documents and of its versions whose personal values were taken out.';

-- The ledger's control totals count the documents that a walk wrote too; they have no amount that we know of.
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
            UNION ALL
            SELECT NULL, stream COLLATE "C", NULL, NULL FROM core.documents WHERE window_id = walk
            UNION ALL
            SELECT NULL, stream COLLATE "C", NULL, NULL FROM core.document_versions WHERE window_id = walk
        ) AS written
        GROUP BY currency, type, status
    ) AS total;
END;

COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations, fraud, balances, or documents:NAME.';
COMMENT ON COLUMN sync.runs.interval_from IS 'First second asked for; NULL for balances and snapshots of documents.';
COMMENT ON COLUMN sync.runs.interval_to IS 'Last second asked for, included; NULL for balances and snapshots of documents.';
COMMENT ON COLUMN sync.windows.stream IS 'What was walked: operations, fraud, or documents:NAME; a snapshot of documents is a window of one second.';
COMMENT ON COLUMN sync.windows.rows_met IS 'Rows (operations, reports or documents) met, each counted once, rejects included.';
COMMENT ON COLUMN sync.coverage.stream IS 'What was walked: operations, fraud, or documents:NAME.';
COMMENT ON COLUMN core.rejects.stream IS 'operations, fraud, balances, or documents:NAME.';

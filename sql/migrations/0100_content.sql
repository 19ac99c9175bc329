-- Whether two states of a row say the same, for every table that keeps states of a key (core.operations and the like).

CREATE FUNCTION core.same_content(stored record, observed record) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- of both the columns are compared in their order, and these three say when and by which walk, not what
    compared record := observed;
BEGIN
    compared.observed_at := stored.observed_at;
    compared.first_seen_at := stored.first_seen_at;
    compared.window_id := stored.window_id;
    RETURN stored = compared;  -- of whole rows: two NULL are equal
END $$;
COMMENT ON FUNCTION core.same_content(record, record) IS 'Whether an observed row differs from a stored one of the same table in nothing but observed_at, first_seen_at and window_id.';

CREATE FUNCTION core.fill_unrequested(stored anyelement, observed record, unrequested text[]) RETURNS anyelement
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    said jsonb := to_jsonb(observed);
BEGIN
    RETURN jsonb_populate_record(stored, said - ARRAY(
        SELECT name FROM unnest(unrequested) AS name WHERE said -> name = 'null'
    ));
END $$;
COMMENT ON FUNCTION core.fill_unrequested(anyelement, record, text[]) IS 'An observed row in which the columns that were not asked for, and came empty, have the values of the stored row: not asked for is not empty.';

-- What each walk wrote, of every stream: a new stream adds its two tables here.
CREATE VIEW sync.written_rows AS
SELECT window_id, sum_initial_currency COLLATE "C" AS currency, operation_type COLLATE "C" AS type,
       operation_status COLLATE "C" AS status, sum_initial_amount AS minor
FROM core.operations
UNION ALL
SELECT window_id, sum_initial_currency COLLATE "C", operation_type COLLATE "C", operation_status COLLATE "C",
       sum_initial_amount
FROM core.operation_versions
UNION ALL
SELECT window_id, tr_ccy COLLATE "C", fraud_type COLLATE "C", NULL, tr_amount_minor FROM core.fraud_reports
UNION ALL
SELECT window_id, tr_ccy COLLATE "C", fraud_type COLLATE "C", NULL, tr_amount_minor FROM core.fraud_report_versions
UNION ALL
SELECT window_id, NULL, stream COLLATE "C", NULL, NULL FROM core.documents
UNION ALL
SELECT window_id, NULL, stream COLLATE "C", NULL, NULL FROM core.document_versions;
COMMENT ON VIEW sync.written_rows IS 'Every stored state of every stream by the walk that wrote it, with what control totals are taken of.';
COMMENT ON COLUMN sync.written_rows.window_id IS 'The walk: sync.windows.window_id.';
COMMENT ON COLUMN sync.written_rows.currency IS 'ISO 4217 alpha-3 code; NULL where the stream has none.';
COMMENT ON COLUMN sync.written_rows.type IS 'Type of the operation, kind of fraud, or name of the stream of documents.';
COMMENT ON COLUMN sync.written_rows.status IS 'Status of the operation; NULL where the stream has none.';
COMMENT ON COLUMN sync.written_rows.minor IS 'Amount in minor units; NULL where there is none.';

CREATE OR REPLACE FUNCTION sync.written_totals(walk bigint) RETURNS jsonb
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(to_jsonb(total) ORDER BY total.currency, total.type, total.status), '[]')
    FROM (
        SELECT currency, type, status, count(*) AS count, sum(minor)::text AS minor
        FROM sync.written_rows
        WHERE window_id = walk
        GROUP BY currency, type, status
    ) AS total;
END;

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
    CONSTRAINT four_eyes CHECK (action = 'reopen' OR lower(btrim(prepared_by)) <> lower(btrim(decided_by))),
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

CREATE FUNCTION recon.close_hash(entry recon.closes) RETURNS bytea
LANGUAGE sql STABLE SET timezone = 'UTC' SET datestyle = 'ISO'
RETURN sha256((entry).previous_hash
    || convert_to((jsonb_strip_nulls(to_jsonb(entry)) - 'entry_hash' - 'previous_hash')::text, 'UTF8'));
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

-- Versions of the closed days are looked up by time.
CREATE INDEX operation_versions_completed ON core.operation_versions (account, operation_completed_at);

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
        AND ((o.operation_completed_at >= d.starts_at AND o.operation_completed_at < d.ends_at)
            OR (o.operation_completed_at IS NULL AND o.operation_created_at >= d.starts_at
                AND o.operation_created_at < d.ends_at))
    UNION
    SELECT d.account, d.business_date, v.operation_id
    FROM days d
    JOIN core.operation_versions v ON v.account = d.account AND v.observed_at <= d.known_at AND v.known_to > d.known_at
        AND ((v.operation_completed_at >= d.starts_at AND v.operation_completed_at < d.ends_at)
            OR (v.operation_completed_at IS NULL AND v.operation_created_at >= d.starts_at
                AND v.operation_created_at < d.ends_at))
), states AS (
    SELECT d.*, t.operation_id, b.operation_id IS NOT NULL AS was_known,
           coalesce(coalesce(b.operation_completed_at, b.operation_created_at) >= d.starts_at
               AND coalesce(b.operation_completed_at, b.operation_created_at) < d.ends_at, false) AS was_in,
           coalesce(coalesce(a.operation_completed_at, a.operation_created_at) >= d.starts_at
               AND coalesce(a.operation_completed_at, a.operation_created_at) < d.ends_at, false) AS is_in,
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

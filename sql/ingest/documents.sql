-- name: any_stored
-- Whether any of these documents is stored already, in whatever state. LIMIT keeps the planner from joining the
-- other way round: one look into the primary key for each, until the first is found.
SELECT EXISTS (
    SELECT FROM json_array_elements_text(CAST(:keys AS json)) AS met (key)
    CROSS JOIN LATERAL (
        SELECT FROM core.documents o
        WHERE o.account = :account AND o.stream = :stream AND o.document_key = met.key COLLATE "C"
        LIMIT 1
    ) AS stored
) AS found

-- name: copy_new
-- Rows of which none is stored: half the work of staging and merging them. An empty unquoted value is NULL.
-- The account is locked (warehouse/load/lock_account); what arrived is held against what was sent by warehouse/ledger/add_window.
COPY core.documents FROM STDIN (FORMAT csv, ENCODING 'UTF8')

-- name: stage
-- A private copy of the table's columns for the rows of one window; gone at commit.
CREATE TEMPORARY TABLE staging_documents (LIKE core.documents) ON COMMIT DROP

-- name: copy
-- CSV in the order of the columns of core.documents; an empty unquoted value is NULL.
COPY staging_documents FROM STDIN (FORMAT csv, ENCODING 'UTF8')

-- name: totals
-- Control totals of what PostgreSQL received, to hold against those of what was sent.
SELECT NULL AS currency, stream AS type, NULL AS status, count(*) AS row_count, NULL AS minor
FROM staging_documents
GROUP BY stream

-- name: drop_unchanged
-- A stored row that says the same stays untouched (no lock, no WAL), and so does one observed later or at the same
-- time: the last observation wins. What is left in the staging table is new or changed.
DELETE FROM staging_documents s
USING core.documents o
WHERE o.account = s.account AND o.stream = s.stream AND o.document_key = s.document_key
  AND (o.observed_at >= s.observed_at OR core.same_content(o, s))

-- name: fill
-- A column that was not asked for, and came empty, is unknown: it keeps what is stored. A row that then says the same
-- is dropped.
WITH partial AS (
    DELETE FROM staging_documents s
    USING core.documents o
    WHERE o.account = s.account AND o.stream = s.stream AND o.document_key = s.document_key
    RETURNING o AS stored, core.fill_unrequested(o, s, CAST(:unrequested AS text[])) AS filled
)
INSERT INTO staging_documents SELECT (filled).* FROM partial WHERE NOT core.same_content(stored, filled)

-- name: retire
-- A stored row that a later observation changes leaves for core.document_versions.
-- Rows affected: the changed documents.
WITH outdated AS (
    DELETE FROM core.documents o
    USING staging_documents s
    WHERE o.account = s.account AND o.stream = s.stream AND o.document_key = s.document_key
    RETURNING o.*, s.observed_at AS known_to
), versioned AS (
    INSERT INTO core.document_versions SELECT * FROM outdated
    RETURNING account, stream, document_key, first_seen_at
)
UPDATE staging_documents s SET first_seen_at = v.first_seen_at
FROM versioned v
WHERE v.account = s.account AND v.stream = s.stream AND v.document_key = s.document_key

-- name: insert
-- Rows affected: the new and the changed documents.
INSERT INTO core.documents SELECT * FROM staging_documents

-- name: differences
-- Staged rows that the store does not hold as they were observed, at the time they were observed; what was not asked
-- for must be as it was before.
-- No difference: a row observed earlier than a state that another window had committed before; the last
-- observation wins, so the load left it out (windows in flight commit in any order).
SELECT s.document_key AS key, s.observed_at,
       CASE WHEN (o.state).document_key IS NULL THEN 'missing in the store' ELSE 'stored otherwise' END AS reason
FROM staging_documents s
LEFT JOIN LATERAL (
    SELECT c AS state FROM core.documents c
    WHERE c.account = s.account AND c.stream = s.stream AND c.document_key = s.document_key
      AND c.observed_at <= s.observed_at
    UNION ALL
    SELECT jsonb_populate_record(NULL::core.documents, to_jsonb(v)) FROM core.document_versions v
    WHERE v.account = s.account AND v.stream = s.stream AND v.document_key = s.document_key
      AND v.observed_at <= s.observed_at AND v.known_to > s.observed_at
) AS o ON true
LEFT JOIN LATERAL (
    SELECT jsonb_populate_record(NULL::core.documents, to_jsonb(v)) AS state FROM core.document_versions v
    WHERE v.account = s.account AND v.stream = s.stream AND v.document_key = s.document_key
      AND v.known_to = (o.state).observed_at AND s.window_id = (o.state).window_id
) AS before ON true
WHERE ((o.state).document_key IS NULL OR NOT CASE
        WHEN (before.state).document_key IS NOT NULL
            THEN core.same_content(o.state, core.fill_unrequested(before.state, s, CAST(:unrequested AS text[])))
        WHEN (o.state).window_id = s.window_id THEN core.same_content(o.state, s)
        ELSE core.same_content(o.state, s)
            OR core.same_content(o.state, core.fill_unrequested(o.state, s, CAST(:unrequested AS text[])))
    END)
  AND NOT EXISTS (
    SELECT FROM sync.windows mine
    JOIN LATERAL (
        SELECT c.window_id FROM core.documents c
        WHERE c.account = s.account AND c.stream = s.stream AND c.document_key = s.document_key
          AND c.observed_at >= s.observed_at
        UNION ALL
        SELECT v.window_id FROM core.document_versions v
        WHERE v.account = s.account AND v.stream = s.stream AND v.document_key = s.document_key
          AND v.observed_at >= s.observed_at
    ) AS held ON true
    JOIN sync.windows theirs ON theirs.window_id = held.window_id
    WHERE mine.window_id = s.window_id AND theirs.account = mine.account AND theirs.entry_no < mine.entry_no
  )
ORDER BY s.document_key

-- name: unfounded
-- The other direction: stored states that name this window as their origin, though its signed pages do not hold them;
-- and states of what the window met whose times do not follow one another.
SELECT t.key, t.observed_at, 'stored, but not in the signed pages of its window' AS reason
FROM (
    SELECT document_key AS key, stream, observed_at FROM core.documents
    WHERE account = :account AND window_id = :window_id
    UNION ALL
    SELECT document_key, stream, observed_at FROM core.document_versions
    WHERE account = :account AND window_id = :window_id
) AS t
WHERE NOT EXISTS (
    SELECT FROM staging_documents s
    WHERE s.stream = t.stream AND s.document_key = t.key AND s.observed_at = t.observed_at
)
UNION ALL
SELECT c.key, c.observed_at, 'stored with times that do not follow one another' AS reason
FROM (
    SELECT key, observed_at, first_seen_at, known_to,
           lead(observed_at) OVER (PARTITION BY key ORDER BY observed_at) AS next,
           min(observed_at) OVER (PARTITION BY key) AS first
    FROM (
        SELECT o.document_key AS key, o.observed_at, o.first_seen_at, NULL::timestamptz AS known_to
        FROM staging_documents s JOIN core.documents o USING (account, stream, document_key)
        UNION ALL
        SELECT v.document_key, v.observed_at, v.first_seen_at, v.known_to
        FROM staging_documents s JOIN core.document_versions v USING (account, stream, document_key)
    ) AS states
) AS c
WHERE c.known_to IS DISTINCT FROM c.next OR c.first_seen_at <> c.first
ORDER BY 1, 2

-- name: orphans
-- Stored states that name no complete window of this stream as their origin.
SELECT t.key, t.observed_at, 'stored, but from no window of the ledger' AS reason
FROM (
    SELECT document_key AS key, observed_at, window_id FROM core.documents
    WHERE account = :account AND stream = :stream
    UNION ALL
    SELECT document_key, observed_at, window_id FROM core.document_versions
    WHERE account = :account AND stream = :stream
) AS t
LEFT JOIN sync.windows w ON w.window_id = t.window_id AND w.account = :account AND w.stream = :stream
    AND w.verdict = 'complete'
WHERE w.window_id IS NULL
ORDER BY 1, 2

-- name: states
-- Every stored state of some documents, as text to compare before and after, and the window it came from.
SELECT o.document_key AS key, o.window_id, md5(o::text) AS state
FROM core.documents o WHERE o.account = :account AND o.stream = :stream AND o.document_key = ANY(:keys)
UNION ALL
SELECT v.document_key, v.window_id, md5(v::text)
FROM core.document_versions v WHERE v.account = :account AND v.stream = :stream AND v.document_key = ANY(:keys)

-- name: forget
-- Takes all states of some documents out of the store, to build them again in the same transaction.
WITH current AS (
    DELETE FROM core.documents WHERE account = :account AND stream = :stream AND document_key = ANY(:keys)
)
DELETE FROM core.document_versions WHERE account = :account AND stream = :stream AND document_key = ANY(:keys)

-- name: unstage
DROP TABLE staging_documents

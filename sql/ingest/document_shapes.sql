-- name: shapes
SELECT stream, endpoint, rows_path, key_paths FROM sync.document_streams WHERE account = :account ORDER BY stream

-- name: note_shape
-- As long as nothing was loaded, the way the stream is read may still be found out.
INSERT INTO sync.document_streams AS s (account, stream, endpoint, rows_path, key_paths)
VALUES (:account, :stream, :endpoint, :rows_path, :key_paths)
ON CONFLICT (account, stream) DO UPDATE SET
    endpoint = excluded.endpoint, rows_path = excluded.rows_path, key_paths = excluded.key_paths
WHERE NOT EXISTS (
    SELECT FROM sync.windows w WHERE w.account = s.account AND w.stream = s.stream AND w.verdict = 'complete'
)

-- name: shape
-- How the documents of a stream have been found and told apart since its first load.
SELECT endpoint, rows_path, key_paths FROM sync.document_streams WHERE account = :account AND stream = :stream

-- name: paths
-- Every path of the documents of a stream that leads to a value: which kinds of values stand there, in how many
-- documents it is missing or null, how many different values there are. A list counts as one value.
WITH RECURSIVE newest AS (
    SELECT document_key, document
    FROM core.documents
    WHERE account = :account AND stream = :stream
    ORDER BY first_seen_at DESC, document_key
    LIMIT CAST(:most AS integer)
), part AS (
    SELECT ARRAY[]::text[] AS path, document AS value FROM newest
    UNION ALL
    SELECT p.path || e.key, e.value
    FROM part p
    CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(p.value) WHEN 'object' THEN p.value ELSE '{}' END) AS e
), leaf AS (
    SELECT path, value,
           CASE
               WHEN jsonb_typeof(value) = 'number' THEN
                   CASE WHEN value #>> '{}' ~ '^-?[0-9]{1,18}$' THEN 'integer' ELSE 'decimal' END
               WHEN jsonb_typeof(value) <> 'string' THEN jsonb_typeof(value)
               WHEN value #>> '{}' ~ '^-?(0|[1-9][0-9]{0,17})$' THEN 'text of an integer'
               WHEN value #>> '{}' ~ '^-?[0-9]+[.][0-9]+$' THEN 'text of a decimal'
               WHEN value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?' THEN 'text of a time'
               ELSE 'text'
           END AS kind
    FROM part
    WHERE jsonb_typeof(value) <> 'object' AND path <> '{}'
)
SELECT path, array_remove(array_agg(DISTINCT kind ORDER BY kind), 'null') AS kinds,
       (SELECT count(*) FROM newest) AS documents, count(*) FILTER (WHERE kind <> 'null') AS present,
       count(DISTINCT value) FILTER (WHERE kind <> 'null') AS different
FROM leaf
GROUP BY path
ORDER BY path

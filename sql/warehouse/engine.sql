-- name: facts
-- What the server is, before anything is set in it. `owner`: the role that owns our schemas, or the database as long as
-- they are not there, if we may act as it.
SELECT pg_backend_pid() AS backend,
       current_setting('server_version_num')::int AS version,
       current_setting('server_encoding') AS encoding,
       current_setting('transaction_read_only') = 'on' AS is_read_only,
       current_setting('session_replication_role') AS replication_role,
       (
           SELECT pg_get_userbyid(o.id)
           FROM (
               SELECT coalesce((SELECT nspowner FROM pg_namespace WHERE nspname = 'sync'), datdba) AS id
               FROM pg_database WHERE datname = current_database()
           ) AS o
           WHERE pg_get_userbyid(o.id) <> current_user
             AND CASE WHEN current_setting('server_version_num')::int >= 160000
                      THEN pg_has_role(current_user, o.id, 'SET')
                      ELSE pg_has_role(current_user, o.id, 'MEMBER') END
       ) AS owner

-- name: configure
-- Settings that this server knows, as it writes their values.
SELECT w.name, set_config(w.name, w.value, false) AS value
FROM unnest(CAST(%(names)s AS text[]), CAST(%(values)s AS text[])) AS w (name, value)
WHERE current_setting(w.name, true) IS NOT NULL

-- name: differences
-- Settings that are not what they were set to, and whether the session is still the same.
SELECT pg_backend_pid() AS backend, (
           SELECT string_agg(w.name || ' is ' || current_setting(w.name), ', ')
           FROM unnest(CAST(%(names)s AS text[]), CAST(%(values)s AS text[])) AS w (name, value)
           WHERE current_setting(w.name) <> w.value
       ) AS settings

-- name: mark
SELECT set_config('ecommpay_sync.session', %(mark)s, false)

-- name: marked
SELECT current_setting('ecommpay_sync.session', true)

-- name: blockers
-- The sessions for which that one waits; PostgreSQL shows query and times to members of pg_read_all_stats only.
SELECT a.pid, coalesce(a.usename, a.backend_type) AS login, a.application_name AS application, a.state,
       coalesce(a.xact_start, a.query_start) AS since, a.query
FROM unnest(pg_blocking_pids(%(pid)s)) AS b (pid)
JOIN pg_stat_activity a ON a.pid = b.pid
ORDER BY a.xact_start

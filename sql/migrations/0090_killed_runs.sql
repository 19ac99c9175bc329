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

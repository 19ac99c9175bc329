-- bi.data_freshness: how far the data reaches, when it landed, when the next run is due, and why it is late.
CREATE OR REPLACE VIEW bi.data_freshness AS
SELECT f.account, f.stream, f.data_as_of_at, f.landed_at, f.marts_refreshed_at, f.next_run_due_at,
       bi.closed_through(f.account) AS closed_through_date,
       f.verdict, f.verdict <> 'fresh' AS is_late,
       CASE f.verdict
           WHEN 'fresh' THEN NULL
           WHEN 'never loaded' THEN coalesce(f.last_message, 'no run has loaded anything yet')
           WHEN 'incomplete' THEN coalesce(f.last_message, 'the last run ended ' || f.last_state)
           ELSE coalesce(
               f.last_message,
               CASE WHEN f.last_state = 'running' THEN 'a run is under way since ' || to_char(f.last_started_at, 'YYYY-MM-DD HH24:MI TZ') END,
               'the run due at ' || to_char(f.next_run_due_at, 'YYYY-MM-DD HH24:MI TZ') || ' has not started: is the daemon running?')
       END AS cause
FROM (
    SELECT s.account, s.stream, landed.data_as_of_at, landed.landed_at, m.refreshed_at AS marts_refreshed_at,
           d.next_run_at AS next_run_due_at, last.state AS last_state, last.message AS last_message,
           last.started_at AS last_started_at,
           CASE
               WHEN landed.landed_at IS NULL THEN 'never loaded'
               WHEN last.state IN ('incomplete', 'failed') THEN 'incomplete'
               WHEN d.next_run_at + interval '1 hour' < now() AND landed.landed_at < d.next_run_at THEN 'late'
               ELSE 'fresh'
           END AS verdict
    FROM (SELECT DISTINCT account, stream FROM sync.runs WHERE stream NOT IN ('spot check', 'completeness')) AS s
    LEFT JOIN LATERAL (
        SELECT max(w.interval_to) AS data_as_of_at, max(w.committed_at) AS landed_at
        FROM sync.windows w
        WHERE w.account = s.account AND w.stream = s.stream AND w.verdict = 'complete' AND s.stream <> 'balances'
        UNION ALL
        SELECT max(b.captured_at), max(b.captured_at) FROM core.balance_snapshots b
        WHERE b.account = s.account AND s.stream = 'balances'
        ORDER BY 2 DESC NULLS LAST LIMIT 1
    ) AS landed ON true
    LEFT JOIN LATERAL (
        SELECT r.started_at,
               CASE WHEN killed.is_so THEN 'failed' ELSE r.state END AS state,
               CASE WHEN killed.is_so THEN 'the run started at ' || to_char(r.started_at, 'YYYY-MM-DD HH24:MI TZ')
                                           || ' was killed; the next one goes on from there'
                    ELSE r.message END AS message
        FROM sync.runs r
        CROSS JOIN LATERAL (SELECT sync.was_killed(r) AS is_so) AS killed
        WHERE r.account = s.account AND r.stream = s.stream
        ORDER BY r.started_at DESC LIMIT 1
    ) AS last ON true
    LEFT JOIN sync.due d ON d.account = s.account AND d.stream = s.stream
    LEFT JOIN sync.mart_refreshes m ON m.account = s.account AND m.mart_group = 'operations'
) AS f;
COMMENT ON VIEW bi.data_freshness IS 'One row an account and stream: is what you see up to date, and if not, why.';
COMMENT ON COLUMN bi.data_freshness.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN bi.data_freshness.stream IS 'operations, balances, fraud.';
COMMENT ON COLUMN bi.data_freshness.data_as_of_at IS 'Last second that a complete walk covers; of balances, the last snapshot.';
COMMENT ON COLUMN bi.data_freshness.landed_at IS 'When the last rows were committed to the core.';
COMMENT ON COLUMN bi.data_freshness.marts_refreshed_at IS 'The moment whose core the marts show.';
COMMENT ON COLUMN bi.data_freshness.next_run_due_at IS 'When the next scheduled run is to start, as of the last build of the marts.';
COMMENT ON COLUMN bi.data_freshness.closed_through_date IS 'Last business day that finance has closed; NULL: none.';
COMMENT ON COLUMN bi.data_freshness.verdict IS 'fresh; late: the due run did not land within an hour; incomplete: the last run did not end well; never loaded.';
COMMENT ON COLUMN bi.data_freshness.is_late IS 'Whether the verdict is anything but fresh.';
COMMENT ON COLUMN bi.data_freshness.cause IS 'Why, in words; NULL when fresh.';

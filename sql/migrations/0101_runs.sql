-- How a run ended, as columns: a state for what was left out on purpose, and the kind of its error.

ALTER TABLE sync.runs DROP CONSTRAINT runs_state_check;
ALTER TABLE sync.runs ADD CONSTRAINT runs_state_check
    CHECK (state IN ('running', 'complete', 'incomplete', 'failed', 'skipped'));
ALTER TABLE sync.runs ADD COLUMN error_kind text;

COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations, fraud, balances, documents:NAME; or how it was checked: spot check, completeness.';
COMMENT ON COLUMN sync.runs.state IS 'running, complete, incomplete (some window could not be proved complete), failed, or skipped (the token has no right to the stream, and needs none).';
COMMENT ON COLUMN sync.runs.error_kind IS 'Kind of the error that ended it, for example unauthorized or rate_limited; NULL: none.';
COMMENT ON COLUMN sync.runs.message IS 'Why it is not complete, in one line.';

-- Neighbouring windows share their boundary second: what lies between two stretches of coverage is a hole.

CREATE OR REPLACE VIEW sync.coverage AS
SELECT account, stream, project_ids, lower(stretch) AS covered_from, upper(stretch) AS covered_to
FROM (
    SELECT account, stream, project_ids, unnest(range_agg(tstzrange(interval_from, interval_to, '[]'))) AS stretch
    FROM sync.windows
    WHERE verdict = 'complete'
    GROUP BY account, stream, project_ids
) AS stretches;

CREATE OR REPLACE VIEW sync.proofs AS
SELECT w.account, w.window_id,
       coalesce(range_agg(tstzrange(later.interval_from, later.interval_to, '[]'))
           FILTER (WHERE later.window_id IS NOT NULL)
           @> tstzrange(w.interval_from, w.interval_to, '[]'), false) AS proved
FROM sync.windows w
LEFT JOIN sync.windows later
    ON later.account = w.account AND later.stream = w.stream AND later.project_ids = w.project_ids
    AND later.verdict = 'complete' AND later.rows_new = 0 AND later.walk_started_at > w.walk_ended_at
    AND later.interval_from <= w.interval_to AND later.interval_to >= w.interval_from
WHERE w.verdict = 'complete'
GROUP BY w.account, w.window_id;

COMMENT ON COLUMN sync.coverage.covered_to IS 'Last second of the stretch, included; a stretch of whole days ends with the midnight after them.';
COMMENT ON COLUMN sync.windows.interval_to IS 'Last second of the window, included; the window after it begins with the same second.';
COMMENT ON COLUMN sync.windows.rows_met IS 'Operations met, each counted once, rejects included; without those that a neighbouring window of the run has counted, unless they have changed since.';
COMMENT ON COLUMN sync.windows.totals_met IS 'Control totals of the typed rows counted in rows_met: [{currency, type, status, count, minor}].';
COMMENT ON COLUMN recon.completeness.interval_to IS 'Last second of the walk, included: the midnight after the day, whose operations are of the next day.';

-- How a run ended, as columns: a state for what was left out on purpose, and the kind of its error.

ALTER TABLE sync.runs DROP CONSTRAINT runs_state_check;
ALTER TABLE sync.runs ADD CONSTRAINT runs_state_check
    CHECK (state IN ('running', 'complete', 'incomplete', 'failed', 'skipped'));
ALTER TABLE sync.runs ADD COLUMN error_kind text;

COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations, fraud, balances, documents:NAME; or how it was checked: spot check, completeness.';
COMMENT ON COLUMN sync.runs.state IS 'running, complete, incomplete (some window could not be proved complete), failed, or skipped (the token has no right to the stream, and needs none).';
COMMENT ON COLUMN sync.runs.error_kind IS 'Kind of the error that ended it, for example unauthorized or rate_limited; NULL: none.';
COMMENT ON COLUMN sync.runs.message IS 'Why it is not complete, in one line.';

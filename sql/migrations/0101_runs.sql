-- How a run ended, as fields: whether a refusal was tolerated, and which kind of error stopped it.
ALTER TABLE sync.runs ADD COLUMN error_kind text;
ALTER TABLE sync.runs DROP CONSTRAINT runs_state_check;
ALTER TABLE sync.runs ADD CONSTRAINT runs_state_check
    CHECK (state IN ('running', 'complete', 'incomplete', 'failed', 'skipped'));

COMMENT ON COLUMN sync.runs.state IS 'running, complete, incomplete (some window could not be proved complete), failed, or skipped (the token has no right to an optional stream).';
COMMENT ON COLUMN sync.runs.error_kind IS 'What kind of error ended it: unauthorized, forbidden, bad_request, bad_signature, rate_limited, unavailable, incomplete, config, warehouse_unavailable, warehouse_broken, interrupted or unexpected; NULL: none.';

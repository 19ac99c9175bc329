-- What the streams of runs are called.

COMMENT ON COLUMN sync.runs.stream IS 'What was synced: operations, fraud, balances, spot check, or documents:NAME.';

-- How many requests each run sent, by endpoint and status.

CREATE TABLE sync.requests (
    account           text NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    endpoint          text NOT NULL,
    status            integer NOT NULL,
    requests          bigint NOT NULL,
    retries           bigint NOT NULL,
    PRIMARY KEY (account, run_id, endpoint, status)
);

COMMENT ON TABLE sync.requests IS 'HTTP requests of each run that has ended, counted by endpoint and status.';
COMMENT ON COLUMN sync.requests.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.requests.run_id IS 'The run that sent them.';
COMMENT ON COLUMN sync.requests.endpoint IS 'Endpoint of the Data API, for example operations/get.';
COMMENT ON COLUMN sync.requests.status IS 'HTTP status of the answer; 0: no whole answer came.';
COMMENT ON COLUMN sync.requests.requests IS 'How many such requests, the first and the repeated ones.';
COMMENT ON COLUMN sync.requests.retries IS 'How many of them were repetitions of a request that had failed.';

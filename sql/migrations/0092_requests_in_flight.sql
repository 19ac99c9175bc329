-- How many requests in flight each process of a token has found to go well.

CREATE TABLE sync.requests_in_flight (
    account           text NOT NULL,
    process           text NOT NULL,
    in_flight_limit   integer NOT NULL,
    is_active         boolean NOT NULL DEFAULT true,
    seen_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, process)
);

COMMENT ON TABLE sync.requests_in_flight IS
    'How many requests each process of an account''s token keeps in flight; found by it, and shared by all.';
COMMENT ON COLUMN sync.requests_in_flight.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.requests_in_flight.process IS 'Which process; a random name.';
COMMENT ON COLUMN sync.requests_in_flight.in_flight_limit IS 'Its limit when it was last seen.';
COMMENT ON COLUMN sync.requests_in_flight.is_active IS 'Whether its run goes on; of a process that was killed, seen_at tells.';
COMMENT ON COLUMN sync.requests_in_flight.seen_at IS 'When it last sent a request, within a second or so.';

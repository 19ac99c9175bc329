-- One pace for all processes that use a token: when the platform says 429 to one of them, all wait.

CREATE TABLE sync.pace (
    account           text PRIMARY KEY,
    resume_at         timestamptz NOT NULL,
    asked_at          timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE sync.pace IS 'Until when no request of an account''s token may start, whichever process it is of.';
COMMENT ON COLUMN sync.pace.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.pace.resume_at IS 'When requests may start again, by the clock of this server.';
COMMENT ON COLUMN sync.pace.asked_at IS 'When the platform last answered 429.';

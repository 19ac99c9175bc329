-- What was alerted, and to whom it went; and the figures of each night, against which the next ones are judged.

CREATE TABLE sync.alerts (
    account           text NOT NULL,
    cause             text NOT NULL,
    first_seen_at     timestamptz NOT NULL,
    last_seen_at      timestamptz NOT NULL,
    kind              text NOT NULL,
    title             text NOT NULL,
    message           text NOT NULL,
    sent_to           text[] NOT NULL DEFAULT '{}',
    sent_at           timestamptz,
    resolved_at       timestamptz,
    over_sent_to      text[] NOT NULL DEFAULT '{}',
    over_sent_at      timestamptz,
    PRIMARY KEY (account, cause, first_seen_at)
);
CREATE UNIQUE INDEX alerts_open ON sync.alerts (account, cause) WHERE resolved_at IS NULL;

COMMENT ON TABLE sync.alerts IS 'One row for each time a cause for an alert began; it is told once, and once more when it is over.';
COMMENT ON COLUMN sync.alerts.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.alerts.cause IS 'Key of the cause: the kind, and what it is about.';
COMMENT ON COLUMN sync.alerts.first_seen_at IS 'When the cause was seen first.';
COMMENT ON COLUMN sync.alerts.last_seen_at IS 'When the cause was seen last.';
COMMENT ON COLUMN sync.alerts.kind IS 'run_failed, check_failed, nightly_late, volume, lateness, token_refused, breaks, ledger_broken: docs/runbook.md has a section for each.';
COMMENT ON COLUMN sync.alerts.title IS 'What happened, in a few words.';
COMMENT ON COLUMN sync.alerts.message IS 'What happened, where to look, what to do.';
COMMENT ON COLUMN sync.alerts.sent_to IS 'Channels that took the message.';
COMMENT ON COLUMN sync.alerts.sent_at IS 'When every channel had taken it; NULL: tried again at the next tick.';
COMMENT ON COLUMN sync.alerts.resolved_at IS 'When the cause was gone; NULL: it stands.';
COMMENT ON COLUMN sync.alerts.over_sent_to IS 'Channels that took the message that it is over.';
COMMENT ON COLUMN sync.alerts.over_sent_at IS 'When every channel had taken that one.';

CREATE TABLE sync.nights (
    account           text NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    last_day          date NOT NULL,
    rows_new          bigint NOT NULL,
    rows_late         bigint NOT NULL,
    measured_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, run_id)
);

COMMENT ON TABLE sync.nights IS 'Figures of each complete nightly run, measured once, since later walks move them.';
COMMENT ON COLUMN sync.nights.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN sync.nights.run_id IS 'The run.';
COMMENT ON COLUMN sync.nights.last_day IS 'The last UTC day that it loaded.';
COMMENT ON COLUMN sync.nights.rows_new IS 'Operations that it met first.';
COMMENT ON COLUMN sync.nights.rows_late IS 'Of these, the ones completed more than 48 hours before: an earlier night should have met them.';
COMMENT ON COLUMN sync.nights.measured_at IS 'When these figures were taken.';

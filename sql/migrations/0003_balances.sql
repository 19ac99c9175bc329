-- core.balance_snapshots: what balance/get said at a moment.

CREATE TABLE core.balance_snapshots (
    account           text NOT NULL,
    captured_at       timestamptz NOT NULL,
    position          integer NOT NULL,
    balance_name      text NOT NULL,
    currency          text NOT NULL,
    amount_minor      bigint NOT NULL,
    run_id            bigint NOT NULL REFERENCES sync.runs,
    PRIMARY KEY (account, captured_at, position, currency)
);
CREATE INDEX balance_snapshots_name ON core.balance_snapshots (account, balance_name, currency, captured_at);

COMMENT ON TABLE core.balance_snapshots IS 'State of the OUT balances at a moment, as the platform gave it; it can lag reality by up to 30 minutes.';
COMMENT ON COLUMN core.balance_snapshots.account IS 'Which token''s account (SYNC_ACCOUNT).';
COMMENT ON COLUMN core.balance_snapshots.captured_at IS 'When the request was started.';
COMMENT ON COLUMN core.balance_snapshots.position IS 'Place in the answer, from 0: two balances may bear the same name.';
COMMENT ON COLUMN core.balance_snapshots.balance_name IS 'The balance''s own name; it may mention another currency than the one it is kept in.';
COMMENT ON COLUMN core.balance_snapshots.currency IS 'ISO 4217 alpha-3 code of amount_minor: the name of the key it came under.';
COMMENT ON COLUMN core.balance_snapshots.amount_minor IS 'Amount in minor units of currency; may be negative.';
COMMENT ON COLUMN core.balance_snapshots.run_id IS 'The run that took the snapshot.';

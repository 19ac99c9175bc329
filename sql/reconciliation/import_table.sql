CREATE TEMPORARY TABLE staging_entries (
    entry_id        text COLLATE "C" NOT NULL,
    booked_at       timestamptz NOT NULL,
    is_date_only    boolean NOT NULL,
    operation_type  text NOT NULL,
    status          text NOT NULL,
    currency        text NOT NULL,
    amount_minor    bigint NOT NULL,
    fee_minor       bigint,
    operation_id    text,
    project_id      text,
    payment_id      text,
    reference       text
) ON COMMIT DROP

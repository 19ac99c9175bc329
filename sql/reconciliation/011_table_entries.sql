-- The entries that can be matched.
CREATE TEMPORARY TABLE pool_entries (
    entry_id        text COLLATE "C" NOT NULL,
    booked_at       timestamptz NOT NULL,
    is_date_only    boolean NOT NULL,
    operation_type  text COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL,
    currency        text COLLATE "C" NOT NULL,
    minor           bigint NOT NULL,
    fee_minor       bigint,
    operation_id    text COLLATE "C",
    project_id      text COLLATE "C",
    payment_id      text COLLATE "C",
    reference       text COLLATE "C",
    is_home         boolean NOT NULL
) ON COMMIT DROP

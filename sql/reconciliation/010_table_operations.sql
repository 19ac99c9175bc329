-- The operations that can be matched. is_home: of the day; the others are neighbours without a match.
-- is_required: it succeeded and moves money, so that the books must have it.
CREATE TEMPORARY TABLE pool_operations (
    operation_id      text COLLATE "C" NOT NULL,
    project_id        text COLLATE "C",
    payment_id        text COLLATE "C",
    operation_type    text COLLATE "C",
    operation_status  text COLLATE "C",
    is_success        boolean NOT NULL,
    is_required       boolean NOT NULL,
    currency          text COLLATE "C",
    minor             bigint,
    at                timestamptz,
    arn               text COLLATE "C",
    rrn               text COLLATE "C",
    is_home           boolean NOT NULL
) ON COMMIT DROP

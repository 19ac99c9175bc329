CREATE TEMPORARY TABLE balance_movements (
    balance_name  text COLLATE "C" NOT NULL,
    currency      text COLLATE "C" NOT NULL,
    operation_id  text COLLATE "C" NOT NULL,
    at            timestamptz NOT NULL,
    minor         numeric NOT NULL
) ON COMMIT DROP

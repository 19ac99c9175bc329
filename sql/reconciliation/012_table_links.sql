-- The pairs found by the passes.
CREATE TEMPORARY TABLE new_links (
    operation_id  text COLLATE "C" NOT NULL,
    entry_id      text COLLATE "C" NOT NULL,
    match_id      text COLLATE "C" NOT NULL,
    pass          text NOT NULL,
    match_key     text NOT NULL,
    score         smallint NOT NULL,
    shape         text NOT NULL
) ON COMMIT DROP

-- Whether two states of a row say the same, for every table that keeps states of a key (core.operations and the like).

CREATE FUNCTION core.same_content(stored record, observed record) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    -- of both the columns are compared in their order, and these three say when and by which walk, not what
    compared record := observed;
BEGIN
    compared.observed_at := stored.observed_at;
    compared.first_seen_at := stored.first_seen_at;
    compared.window_id := stored.window_id;
    RETURN stored = compared;  -- of whole rows: two NULL are equal
END $$;
COMMENT ON FUNCTION core.same_content(record, record) IS 'Whether an observed row differs from a stored one of the same table in nothing but observed_at, first_seen_at and window_id.';

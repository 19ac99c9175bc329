-- Where the clocks go back over midnight (America/Havana, Atlantic/Azores) a day has two of them: it starts at the first.
CREATE OR REPLACE FUNCTION core.business_day_starts_at(business_day date) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
BEGIN ATOMIC
    SELECT coalesce(
        (SELECT min(moment)
         FROM unnest(ARRAY[interval '2 hours', interval '1 hour', interval '30 minutes', interval '0']) AS earlier,
              LATERAL (SELECT (business_day::timestamp AT TIME ZONE s.value) - earlier AS moment) AS moments
         WHERE (moment AT TIME ZONE s.value)::date = business_day),
        business_day::timestamp AT TIME ZONE s.value)
    FROM core.settings s WHERE s.key = 'reporting_zone';
END;

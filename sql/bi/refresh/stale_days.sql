-- Business days to build, each with its first moment and the first moment after it.
CREATE TEMPORARY TABLE stale_days ON COMMIT DROP AS
SELECT account, business_date,
       business_date::timestamp AT TIME ZONE zone AS starts_at,
       (business_date + 1)::timestamp AT TIME ZONE zone AS ends_at
FROM (
    SELECT DISTINCT account, (business_at AT TIME ZONE s.value)::date AS business_date, s.value AS zone
    FROM touched_states, core.settings s
    WHERE s.key = 'reporting_zone'
) AS days

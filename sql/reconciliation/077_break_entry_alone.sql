-- An entry of the day that no operation is.
-- duplicate_in_ledger: the operation that it names, or the payment or reference with this amount, is booked already.
-- timing: it was booked in the last minutes of the day, and the store does not reach behind the day yet.
WITH booked AS MATERIALIZED (
    SELECT * FROM pool_entries WHERE entry_id IN (SELECT n.entry_id FROM new_links n)
),
booked_again AS MATERIALIZED (
    SELECT e.entry_id
    FROM left_entries e
    JOIN booked twin ON twin.payment_id = e.payment_id AND twin.operation_type = e.operation_type
        AND twin.currency = e.currency AND twin.minor = e.minor
    WHERE e.is_home AND e.operation_id IS NULL AND twin.entry_id <> e.entry_id
      AND (twin.project_id IS NULL OR e.project_id IS NULL OR twin.project_id = e.project_id)
    UNION ALL
    SELECT e.entry_id
    FROM left_entries e
    JOIN booked twin ON twin.reference = e.reference AND twin.operation_type = e.operation_type
        AND twin.currency = e.currency AND twin.minor = e.minor
    WHERE e.is_home AND e.operation_id IS NULL AND twin.entry_id <> e.entry_id
)
INSERT INTO found_breaks
SELECT kind.name || ' e' || e.entry_id, CAST(:day AS date), kind.name, e.operation_id, e.entry_id, NULL,
       e.currency, e.minor, NULL, NULL, NULL, e.currency, e.minor, e.status,
       CASE kind.name WHEN 'duplicate_in_ledger' THEN 'booked again: another entry is this operation already'
                      WHEN 'timing' THEN 'at the end of the day: expected at the platform the next day'
                      ELSE 'no operation of the platform is this entry' END, NULL
FROM left_entries e
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN e.operation_id IN (SELECT n.operation_id FROM new_links n)
          OR EXISTS (SELECT FROM recon.matches m WHERE m.account = :account AND m.operation_id = e.operation_id
                     AND m.business_date <> :day)
          OR e.entry_id IN (SELECT b.entry_id FROM booked_again b) THEN 'duplicate_in_ledger'
        WHEN NOT :platform_goes_on AND NOT e.is_date_only
          AND e.booked_at >= CAST(:ends_at AS timestamptz) - make_interval(mins => :cutoff_minutes) THEN 'timing'
        ELSE 'missing_at_platform' END AS name
) AS kind
WHERE e.is_home

-- An operation of the day that the books must have, and have not.
-- duplicate_at_platform: its payment has another one just like it within a day, and that one is booked.
-- timing: it came in the last minutes of the day, and the books do not reach behind the day yet.
WITH twins AS MATERIALIZED (
    SELECT o.operation_id
    FROM left_operations o
    JOIN core.operations twin ON twin.account = :account AND twin.payment_id = (o.payment_id COLLATE "default")
        AND twin.project_id = (o.project_id COLLATE "default") AND twin.operation_id <> o.operation_id
        AND twin.operation_type = (o.operation_type COLLATE "default") AND twin.sum_initial_amount = o.minor
        AND twin.sum_initial_currency = (o.currency COLLATE "default")
        -- as a sum, so that it is looked up by its payment: a whole day's operations have these times
        AND twin.operation_completed_at + interval '0' BETWEEN o.at - interval '1 day' AND o.at + interval '1 day'
    JOIN core.operation_statuses s ON s.operation_status = twin.operation_status AND s.is_success
    WHERE o.is_home AND o.is_required
      AND (twin.operation_id IN (SELECT n.operation_id FROM new_links n)
        OR EXISTS (SELECT FROM recon.matches m WHERE m.account = :account
                   AND m.operation_id = twin.operation_id AND m.business_date <> :day))
)
INSERT INTO found_breaks
SELECT kind.name || ' o' || o.operation_id, CAST(:day AS date), kind.name, o.operation_id, NULL, NULL,
       o.currency, o.minor, o.currency, o.minor, o.operation_status, NULL, NULL, NULL,
       CASE kind.name WHEN 'duplicate_at_platform' THEN 'the payment has the same operation twice, and the books have one'
                      WHEN 'timing' THEN 'at the end of the day: expected in the books of the next one'
                      ELSE 'no entry of the books is this operation' END, NULL
FROM left_operations o
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN o.operation_id IN (SELECT t.operation_id FROM twins t) THEN 'duplicate_at_platform'
        WHEN NOT :books_go_on AND o.at >= CAST(:ends_at AS timestamptz) - make_interval(mins => :cutoff_minutes) THEN 'timing'
        ELSE 'missing_in_ledger' END AS name
) AS kind
WHERE o.is_home AND o.is_required

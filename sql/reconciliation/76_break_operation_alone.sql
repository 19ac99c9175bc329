-- An operation of the day that the books must have, and have not.
-- duplicate_at_platform: its payment has another one just like it within a day, and that one is booked.
-- timing: it came in the last minutes of the day, and the books do not reach behind the day yet.
INSERT INTO found_breaks
SELECT kind.name || ' o' || o.operation_id, CAST(:day AS date), kind.name, o.operation_id, NULL, NULL,
       o.currency, o.minor, o.currency, o.minor, o.operation_status, NULL, NULL, NULL,
       CASE kind.name WHEN 'duplicate_at_platform' THEN 'the payment has the same operation twice, and the books have one'
                      WHEN 'timing' THEN 'at the end of the day: expected in the books of the next one'
                      ELSE 'no entry of the books is this operation' END, NULL
FROM left_operations o
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN EXISTS (
            SELECT FROM core.operations twin
            JOIN core.operation_statuses s ON s.operation_status = twin.operation_status AND s.is_success
            WHERE twin.account = :account AND twin.payment_id = (o.payment_id COLLATE "default")
              AND twin.project_id = (o.project_id COLLATE "default") AND twin.operation_id <> o.operation_id
              AND twin.operation_type = (o.operation_type COLLATE "default") AND twin.sum_initial_amount = o.minor
              AND twin.sum_initial_currency = (o.currency COLLATE "default")
              AND twin.operation_completed_at BETWEEN o.at - interval '1 day' AND o.at + interval '1 day'
              AND (EXISTS (SELECT FROM new_links n WHERE n.operation_id = twin.operation_id)
                OR EXISTS (SELECT FROM recon.matches m WHERE m.account = :account
                           AND m.operation_id = twin.operation_id AND m.business_date <> :day))
        ) THEN 'duplicate_at_platform'
        WHEN NOT :books_go_on AND o.at >= CAST(:ends_at AS timestamptz) - make_interval(mins => :cutoff_minutes) THEN 'timing'
        ELSE 'missing_in_ledger' END AS name
) AS kind
WHERE o.is_home AND o.is_required

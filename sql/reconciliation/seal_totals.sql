-- Count and sum in minor units, by currency, type and status; exponent as valid on the day.
SELECT o.sum_initial_currency AS currency,
       (SELECT c.exponent FROM core.currencies c
        WHERE c.currency = o.sum_initial_currency AND c.valid_from <= :day AND (c.valid_to IS NULL OR c.valid_to > :day)
       ) AS exponent,
       o.operation_type AS type, o.operation_status AS status,
       coalesce(s.is_success, false) AS is_success, coalesce(t.sign, 0) AS sign,
       count(*) AS count, sum(o.sum_initial_amount)::text AS minor
FROM core.operations o
LEFT JOIN core.operation_types t ON t.operation_type = o.operation_type
LEFT JOIN core.operation_statuses s ON s.operation_status = o.operation_status
WHERE o.account = :account
  AND ((o.operation_completed_at >= core.business_day_starts_at(CAST(:day AS date))
        AND o.operation_completed_at < core.business_day_starts_at(CAST(:day AS date) + 1))
    OR (o.operation_completed_at IS NULL
        AND o.operation_created_at >= core.business_day_starts_at(CAST(:day AS date))
        AND o.operation_created_at < core.business_day_starts_at(CAST(:day AS date) + 1)))
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY o.sum_initial_currency COLLATE "C", o.operation_type COLLATE "C", o.operation_status COLLATE "C"

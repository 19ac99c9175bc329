-- What became known of earlier days since the day began, the latest first. Of a closed day it is held against the
-- sealed figures; of another against what was known when the day began, where a load had been complete before:
-- what a first load brings is no restatement.
WITH of_closed_days AS (
    SELECT operation_id, kind, sealed_known_at AS known_from, restated_known_at AS known_to,
           status_before, status_after, coalesce(currency_after, currency_before) AS currency,
           minor_before AS amount_before, minor_after AS amount_after
    FROM recon.restatements
    WHERE account = :account AND business_date < :day
      AND restated_known_at > CAST(:known_from AS timestamptz) AND restated_known_at <= CAST(:known_to AS timestamptz)
), of_other_days AS (
    SELECT r.operation_id, r.kind, CAST(:known_from AS timestamptz), r.observed_at,
           r.status_before, r.status_after, coalesce(r.currency_after, r.currency_before),
           r.amount_before, r.amount_after
    FROM core.restatements(CAST(:known_from AS timestamptz), CAST(:known_to AS timestamptz)) r
    WHERE r.account = :account AND coalesce(r.completed_before, r.completed_after) < CAST(:known_from AS timestamptz)
      AND NOT EXISTS (SELECT FROM of_closed_days c WHERE c.operation_id = r.operation_id)
      AND (r.kind = 'changed' OR EXISTS (
            SELECT FROM sync.windows w
            WHERE w.account = r.account AND w.stream = 'operations' AND w.verdict = 'complete'
              AND w.committed_at <= CAST(:known_from AS timestamptz)
              AND w.interval_from <= r.completed_after AND w.interval_to >= r.completed_after))
)
SELECT * FROM of_closed_days
UNION ALL
SELECT * FROM of_other_days
ORDER BY known_to DESC, operation_id
LIMIT :most

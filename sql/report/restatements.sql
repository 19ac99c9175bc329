-- Operations of earlier days that became known otherwise since the day began, the largest first. One that is new
-- restates only a day that had been loaded before: what a first load brings is no restatement.
SELECT r.operation_id, r.kind, CAST(:known_from AS timestamptz) AS known_from, r.observed_at AS known_to,
       r.status_before, r.status_after, coalesce(r.currency_after, r.currency_before) AS currency,
       r.amount_before, r.amount_after
FROM core.restatements(CAST(:known_from AS timestamptz), CAST(:known_to AS timestamptz)) r
WHERE r.account = :account AND coalesce(r.completed_before, r.completed_after) < CAST(:known_from AS timestamptz)
  AND (r.kind = 'changed' OR EXISTS (
        SELECT FROM sync.windows w
        WHERE w.account = r.account AND w.stream = 'operations' AND w.verdict = 'complete'
          AND w.committed_at <= CAST(:known_from AS timestamptz)
          AND w.interval_from <= r.completed_after AND w.interval_to >= r.completed_after))
ORDER BY abs(coalesce(r.amount_after, 0)) DESC, r.operation_id
LIMIT :most

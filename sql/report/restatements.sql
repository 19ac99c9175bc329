-- Operations of earlier days that became known otherwise since the day began, the largest first.
SELECT operation_id, kind, :known_from AS known_from, observed_at AS known_to, status_before, status_after,
       coalesce(currency_after, currency_before) AS currency, amount_before, amount_after
FROM core.restatements(:known_from, :known_to)
WHERE account = :account AND coalesce(completed_before, completed_after) < :known_from
ORDER BY abs(coalesce(amount_after, 0)) DESC, operation_id
LIMIT :most

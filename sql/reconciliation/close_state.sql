-- What a day needs to be closed: its latest proof, its last reconciliation, its open breaks; and when it last changed.
SELECT d.completeness, d.books_at, d.open_breaks,
       (SELECT p.reason FROM recon.completeness p WHERE p.account = d.account AND p.business_date = d.business_date
        ORDER BY p.walked_at DESC LIMIT 1) AS reason,
       (SELECT max(o.observed_at) FROM core.operations o
        WHERE o.account = d.account
          AND o.operation_completed_at >= core.business_day_starts_at(d.business_date)
          AND o.operation_completed_at < core.business_day_starts_at(d.business_date + 1)) AS loaded_at
FROM recon.days d
WHERE d.account = :account AND d.business_date = :day
